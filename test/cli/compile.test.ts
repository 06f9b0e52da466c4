import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeModel, interpret, openModel } from "../../src/compile/index.js";
import { openDataset } from "../../src/data/index.js";
import { easting, jsonLines, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const run = join(folder, "run");
const model = join(folder, "digits.easting");
let accuracy: number;

beforeAll(() => {
  const settings = ["--model", "resnet20", "--method", "east", "--sparsity", "98", "--epochs", "3", "--batch", "64"];
  accuracy = jsonLines(easting("train", ...settings, "--out", run, "--json").stdout).at(-1).testAccuracy;
});

describe("easting compile", () => {
  it("writes a model and says what each pass removed", () => {
    const { status, stdout, stderr } = easting("compile", run, "-o", model);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^after +weights +channels +MACs +bytes of weights +bytes of RAM\ntrained network +/);
    expect(stdout).toMatch(/\ndrop channels no logit needs +[\d,]+ /);
    expect(stdout).toContain(`\nwritten     ${model}, `);
    const f16 = JSON.parse(
      easting("compile", run, "--values", "f16", "-o", join(folder, "half.easting"), "--json").stdout,
    );
    expect(f16).toMatchObject({ type: "compiled", target: "native", values: "f16" });
    const f32 = readFileSync(model).length;
    expect(f32 - f16.bytes).toBeGreaterThan(f16.report.at(-1).weights);
  });

  it("classifies the test images as the trained network does", async () => {
    const graph = decodeModel(readFileSync(model));
    const data = await openDataset("digits");
    const [mean] = data.mean;
    const [std] = data.std;
    const { count, labels } = data.test;
    const size = 64;
    const images = new Uint8Array(count * size);
    await data.test.read(
      Int32Array.from({ length: count }, (_, i) => i),
      images,
    );
    let correct = 0;
    for (let i = 0; i < count; i++) {
      const image = Float32Array.from(images.subarray(i * size, (i + 1) * size), (pixel) => (pixel / 255 - mean) / std);
      const logits = interpret(graph, image);
      if (logits.indexOf(Math.max(...logits)) === labels[i]) correct++;
    }
    expect(correct / count).toBe(accuracy);
    await data.close();
  });

  it("writes integers on demand, and says what that costs in accuracy", () => {
    const int8 = join(folder, "digits-int8.easting");
    const { status, stdout } = easting("compile", run, "--int8", "-o", int8);
    expect(status).toBe(0);
    expect(stdout).toMatch(/\nmemory +[\d.]+ kB for planes in bytes, /);
    expect(stdout).toMatch(/\naccuracy +[\d.]+ % in f32, [\d.]+ % in int8, of 360 test images; calibrated with 128\n/);
    const {
      bytes,
      values,
      int8: checked,
    } = JSON.parse(easting("compile", run, "--int8", "--calibration", "64", "-o", int8, "--json").stdout);
    expect({ values, images: checked.images, calibration: checked.calibration }).toEqual({
      values: "int8",
      images: 360,
      calibration: 64,
    });
    expect(checked.f32).toBe(accuracy);
    expect(checked.f32 - checked.int8).toBeLessThan(0.03);
    expect(bytes).toBeLessThan(0.6 * readFileSync(model).length);
    expect(openModel(readFileSync(int8)).values).toBe("int8");
  });

  it("refuses a folder that cannot be written to, in one sentence", () => {
    const to = join(folder, "nowhere", "x.easting");
    expect(easting("compile", run, "-o", to)).toMatchObject({
      status: 1,
      stderr: `error: cannot write ${to}: no such file or folder (ENOENT)\n`,
    });
  });
});

describe("easting inspect of a model", () => {
  it("says what is inside", () => {
    const found = JSON.parse(easting("inspect", model, "--json").stdout);
    expect(found).toMatchObject({ model, values: "f32", bytes: readFileSync(model).length });
    expect(found.image.shape).toEqual([1, 8, 8]);
    expect(found.classes).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    expect(found.steps.at(-1)).toMatchObject({ op: "convolution", output: [10, 1, 1], relu: false });
    expect(easting("inspect", model).stdout).toMatch(/\nsize +[\d.]+ kB: weights [\d.]+ kB \(f32\), /);
  });

  it("refuses a damaged one", () => {
    const damaged = join(folder, "damaged.easting");
    const bytes = readFileSync(model);
    bytes[100] ^= 1;
    writeFileSync(damaged, bytes);
    const { status, stderr } = easting("inspect", damaged);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: .*damaged\.easting: expected contents that match their CRC-32, got /);
  });
});
