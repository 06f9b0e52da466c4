import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { easting, jsonLines, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const [run, weights, checkpoint] = ["run", "weights.safetensors", "imported.ckpt"].map((name) => join(folder, name));
let accuracy: number;

beforeAll(() => {
  const settings = ["--model", "resnet20", "--method", "east", "--sparsity", "98", "--epochs", "2", "--batch", "64"];
  accuracy = jsonLines(easting("train", ...settings, "--out", run, "--json").stdout).at(-1).testAccuracy;
  const outcome = JSON.parse(easting("compile", run, "--target", "safetensors", "-o", weights, "--json").stdout);
  expect(outcome).toMatchObject({ target: "safetensors", file: weights });
});

describe("easting import", () => {
  it("brings back what easting compile --target safetensors wrote, with the same accuracy", () => {
    const { stdout, stderr } = easting("import", weights, "-o", checkpoint, "--json");
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({ type: "imported", model: "resnet20", checkpoint });
    const evaluation = JSON.parse(easting("evaluate", checkpoint, "--data", "digits", "--json").stdout);
    expect(evaluation.accuracy).toBe(accuracy);
  });

  it.each([
    [["--model", "resnet32"], 1, "expected a tensor layer1.3.conv1.weight, got none"],
    [["--mean", "0.5,0.5"], 2, "--mean: expected 1 numbers, got 2"],
    [["--mean", "white"], 2, "--mean and --std: expected numbers with commas between them, got white"],
    [["--std", "0"], 2, "--std: expected numbers above 0, got 0"],
    [["--classes", join(folder, "nowhere.txt")], 2, "no such file or folder (ENOENT)"],
  ])("refuses %j", (flags, status, message) => {
    const found = easting("import", weights, ...flags, "-o", checkpoint);
    expect(found.status).toBe(status);
    expect(found.stderr).toContain(message);
  });

  it("refuses another file in one sentence", () => {
    const file = join(folder, "other.safetensors");
    writeFileSync(file, "no safetensors file");
    const { status, stderr } = easting("import", file, "--model", "resnet20");
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: .*other\.safetensors: expected a header of at most 11 bytes, got \d+; .*\n$/);
  });
});

describe("easting compile and demo", () => {
  it("refuse flags that mean nothing to the target", () => {
    expect(easting("compile", run, "--onnx-sparse").stderr).toBe(
      "error: --onnx-sparse: expected --target onnx, got native\n",
    );
    expect(easting("compile", run, "--target", "safetensors", "--values", "f16")).toMatchObject({
      status: 2,
      stderr: "error: --target safetensors: expected weights in f32, got others\n",
    });
  });

  it("refuse pictures that no browser shows, and files that are no model", () => {
    const model = join(folder, "net.easting");
    easting("compile", run, "-o", model);
    expect(easting("demo", model, "--pictures", "cat.tiff").stderr).toBe(
      "error: --pictures: expected .jpg, .jpeg, .png, .webp, got cat.tiff\n",
    );
    expect(easting("demo", weights)).toMatchObject({ status: 1, stderr: expect.stringContaining("expected a model") });
  });
});
