import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { easting, jsonLines, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const at = (...path: string[]) => join(folder, ...path);
const settings = ["--model", "resnet20", "--data", "digits", "--sparsity", "98", "--batch", "431"];

beforeAll(() => {
  const looked = ["--epochs", "2", "--diagnostics", "pre-activations,gradient-flow", "--diagnostics-every", "1"];
  expect(easting("train", ...settings, ...looked, "--out", at("runs", "a")).status).toBe(0);
  expect(easting("train", ...settings, "--epochs", "1", "--out", at("runs", "b")).status).toBe(0);
});

describe("easting train --diagnostics", () => {
  it("adds what was asked for to the events, and nothing else", () => {
    const types = (run: string) =>
      jsonLines(readFileSync(at("runs", run, "events.jsonl"), "utf8")).map(({ type }) => type);
    const looks = types("a").filter((type) => ["pre-activations", "gradient-flow", "histograms"].includes(type));
    expect(looks).toEqual(["gradient-flow", "pre-activations", "gradient-flow", "pre-activations"]);
    expect(types("b")).not.toContain("gradient-flow");
  });

  it("refuses names that it does not know", () => {
    const { status, stderr } = easting("train", ...settings, "--diagnostics", "gradientflow", "--out", at("c"));
    const known = "pre-activations, gradient-flow, histograms";
    const message = `error: --diagnostics: expected some of ${known}, got "gradientflow"; did you mean gradient-flow?\n`;
    expect({ status, stderr }).toEqual({ status: 2, stderr: message });
  });
});

describe("easting plot", () => {
  it("draws all that a run holds", () => {
    const { status, stdout, stderr } = easting("plot", at("runs", "a"), "-o", at("plots"));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const names = ["curves", "sparsity", "schedule", "topology", "layers", "pre-activations", "gradient-flow"];
    expect(stdout).toBe(names.map((name) => `${at("plots", `${name}.svg`)}\n`).join(""));
    expect(readdirSync(at("plots")).toSorted()).toEqual(names.map((name) => `${name}.svg`).toSorted());
  });

  it("draws what it is asked for, and says what it takes where the runs lack it", () => {
    const asked = easting("plot", at("runs", "a"), at("runs", "b"), "--what", "curves", "-o", at("some"), "--json");
    const runs = [at("runs", "a"), at("runs", "b")];
    expect(jsonLines(asked.stdout)).toEqual([{ type: "plotted", runs, files: [at("some", "curves.svg")] }]);
    const { status, stderr } = easting("plot", at("runs", "b"), "--what", "histograms", "-o", at("none"));
    const message =
      "error: --what histograms: expected runs that hold it, got none; train with --diagnostics histograms\n";
    expect({ status, stderr }).toEqual({ status: 2, stderr: message });
  });

  it("says in one sentence what is no run", () => {
    const { status, stderr } = easting("plot", folder);
    const message = `error: ${folder}: expected a run folder, got one without receipt.json\n`;
    expect({ status, stderr }).toEqual({ status: 1, stderr: message });
  });
});

describe("easting export", () => {
  it("writes the files of each run into a folder of its name", () => {
    const csv = easting("export", at("runs", "a"), at("runs", "b"), "--format", "csv", "-o", at("out"), "--json");
    const files = ["a", "b"].flatMap((run) => ["epochs.csv", "layers.csv"].map((file) => at("out", run, file)));
    expect(jsonLines(csv.stdout)[0]).toMatchObject({ type: "exported", format: "csv", files });
    expect(readFileSync(files[0], "utf8").split("\n")).toHaveLength(1 + 2 + 1);
    expect(easting("export", at("runs", "a"), "--format", "tensorboard", "-o", at("board")).status).toBe(0);
    expect(readdirSync(at("board", "a"))).toEqual([expect.stringMatching(/^events\.out\.tfevents\.\d+\.easting$/)]);
  });

  it("refuses two runs of one name, and needs a format", () => {
    const { status, stderr } = easting(
      "export",
      at("runs", "a"),
      at("runs", "a"),
      "--format",
      "csv",
      "-o",
      at("twice"),
    );
    const message = "error: export: expected folders of different names, got two called a\n";
    expect({ status, stderr }).toEqual({ status: 2, stderr: message });
    expect(easting("export", at("runs", "a")).status).toBe(2);
  });
});
