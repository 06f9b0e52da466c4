import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { version } from "../../src/version.js";
import { easting, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const models =
  "resnet20, resnet32, resnet56, resnet18, resnet34, resnet50, resnet18-imagenet, resnet34-imagenet, resnet50-imagenet";
const methods =
  "dense, static, magnitude, synflow, snip, grasp, iter-snip, force, snip-it, set, rigl, rigl-original, granet, gmp, " +
  "snfs, dsr, mest, mest-soft, top-kast, sup-tickets, chase, east, dctps+rigl, dctps+rigl+east";

describe("the command line", () => {
  it("prints its version", () => {
    expect(easting("--version")).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  it.each([[[]], [["--help"]], [["train", "--help"]], [["evaluate", "--help"]], [["summary", "--help"]]])(
    "helps with %j, by examples",
    (args) => {
      const { status, stdout } = easting(...args);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^Usage: easting/);
      expect(stdout).toMatch(/\nExamples:\n {2}easting /);
    },
  );

  it("has a flag with default and description for every setting of a run", async () => {
    const { configSchema } = await import("../../src/east/config.js");
    const { stdout } = easting("train", "--help");
    for (const key of Object.keys(configSchema.shape)) {
      const flag = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      expect(stdout).toMatch(new RegExp(`\n  --(no-)?${flag} +(<\\w+> +)?\\S+`));
    }
    expect(stdout).toMatch(/--momentum <number> +of SGD, with Nesterov\s+\(default: 0\.9\)/);
  });

  it.each<[string[], string]>([
    [["trian"], "unknown command 'trian'; did you mean train?"],
    [["train", "--modle", "resnet20"], "unknown option '--modle'; did you mean --model?"],
    [["train", "--model", "resnet35"], `--model: expected one of ${models}, got resnet35; did you mean resnet32?`],
    [["train", "--method", "east2"], `--method: expected one of ${methods}, got east2; did you mean east?`],
    [
      ["train", "--sparsity", "100"],
      "--sparsity: expected a percentage below 100, as at 100 no weight is left, got 100",
    ],
    [["train", "--batch", "0"], "--batch: expected a whole number of at least 1, got 0"],
    [["train", "--batch", "many"], "--batch: expected a number, got many"],
    [["train", "--epochs", "1.5"], "--epochs: expected a whole number, got 1.5"],
    [["train", "--share-ratio", "1"], "--share-ratio: expected 0 (no sharing) or a whole number of at least 2, got 1"],
    [["train", "--threads", "0"], "--threads: expected a whole number of at least 1, got 0"],
    [["train", "--resume"], "--resume: expected the run folder to go on with, got none; add --out <folder>"],
    [["train", "digits"], "too many arguments for 'train'. Expected 0 arguments but got 1."],
    [
      ["data", "download", "mnist"],
      "command-argument value 'mnist' is invalid for argument 'name'. Allowed choices are cifar10, cifar100.",
    ],
  ])("refuses %j in one sentence, with exit code 2", (args, message) => {
    expect(easting(...args)).toEqual({ status: 2, stdout: "", stderr: `error: ${message}\n` });
  });

  it.each<[string, string]>([
    ['{"modle": "resnet20"}', 'expected known settings, got "modle"; did you mean "model"?'],
    ['{"batch": "many"}', "batch: expected a number, got many"],
  ])("refuses the settings file %s", (text, message) => {
    const file = join(folder, "settings.json");
    writeFileSync(file, text);
    expect(easting("train", "--config", file)).toMatchObject({ status: 2, stderr: `error: ${file}: ${message}\n` });
  });

  it("refuses a settings file that is missing or no JSON", () => {
    const file = join(folder, "broken.json");
    expect(easting("train", "--config", file).stderr).toBe(
      `error: --config: expected a readable JSON file, got ${file} (ENOENT)\n`,
    );
    writeFileSync(file, "{");
    expect(easting("train", "--config", file).stderr).toBe(
      `error: --config: expected a JSON object in ${file}, got something else\n`,
    );
  });

  it.each<[string[], string]>([
    [
      ["train", "--data", "digist", "--json"],
      'data: expected "digits", "synthetic", "cifar10", "cifar100" or a folder, got "digist"; did you mean "digits"?',
    ],
    [["train", "--resume", "--out", "/no/run"], "/no/run: expected a run to resume, got no receipt.json"],
    [["evaluate", "/no/run"], "cannot read checkpoint /no/run: no such file or folder (ENOENT)"],
    [["summary", "/no/run"], "cannot read checkpoint /no/run: no such file or folder (ENOENT)"],
  ])("says in one sentence what is missing for %j, with exit code 1", (args, message) => {
    expect(easting(...args)).toEqual({ status: 1, stdout: "", stderr: `error: ${message}\n` });
  });
});
