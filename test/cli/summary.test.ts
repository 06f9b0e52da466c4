import { describe, expect, it } from "vitest";
import { easting } from "./easting.js";

const summary = (...args: string[]) => JSON.parse(easting("summary", ...args, "--json").stdout);

// Counts and MACs as published for the networks of EAST (arXiv 2411.13545, table 2) and computed from their shapes.
describe("easting summary", () => {
  it("counts a dense ResNet-34 for 32 × 32 images", () => {
    expect(summary("--model", "resnet34", "--method", "dense")).toMatchObject({
      prunable: 21_265_088,
      owned: 21_265_088,
      nnz: 21_265_088,
      batchNormParameters: 17_024,
      dyreluParameters: 0,
      macs: 1_159_402_496,
    });
  });

  it("counts ResNet-34 for 100 classes", () => {
    const found = summary("--model", "resnet34", "--method", "rigl", "--sparsity", "99.9", "--classes", "100");
    expect(found).toMatchObject({ prunable: 21_311_168, nnz: 21_311 });
  });

  it("counts a ResNet-50 for 32 × 32 images", () => {
    const { layers, ...found } = summary("--model", "resnet50", "--method", "static");
    expect(found).toMatchObject({ prunable: 23_467_712, batchNormParameters: 53_120, denseMacs: 1_297_829_888 });
    expect(layers).toHaveLength(54);
  });

  it("counts ResNet-50 for ImageNet", () => {
    const found = summary("--model", "resnet50-imagenet", "--method", "static", "--sparsity", "99.9");
    expect(found).toMatchObject({ prunable: 25_502_912, image: [3, 224, 224], classes: 1000 });
    expect(found.denseMacs / 1e6).toBeCloseTo(4089.2, 1);
    expect(Math.abs(found.macs / 1e6 - 9.95)).toBeLessThan(0.05);
  });

  it.each([
    [99, 51.92],
    [99.9, 5.192],
    [99.95, 2.596],
    [99.99, 0.519],
  ])("counts every use of the weights that EAST shares in a ResNet-50 at %d %%", (sparsity, millions) => {
    const found = summary("--model", "resnet50", "--sparsity", String(sparsity), "--no-dyrelu");
    expect(found).toMatchObject({ prunable: 23_467_712, owned: 13_928_128, denseMacs: 1_297_829_888 });
    expect(Math.abs(found.macs / 1e6 - millions)).toBeLessThan(0.05);
    expect(found.nnz).toBe(Math.floor(23_467_712 * (1 - sparsity / 100)));
  });

  it.each([
    [99.95, 40.258],
    [99.99, 39.086],
  ])(
    "counts DCTpS's transforms in a ResNet-50 at %d percent: as published, %d M with the sparse MACs",
    (sparsity, millions) => {
      const found = summary("--model", "resnet50", "--method", "dctps+rigl", "--sparsity", String(sparsity));
      expect(found.transformMacs / 1e6).toBeCloseTo(38.793, 3);
      expect(Math.abs((found.transformMacs + found.macs) / 1e6 - millions)).toBeLessThan(0.005);
    },
  );

  it("shows shared layers, DyReLU and totals in its table", () => {
    const { stdout } = easting("summary", "--model", "resnet34", "--sparsity", "99.9");
    expect(stdout).toMatch(/\nlayer1\.2\.conv1 +64×64×3×3 +32×32 +36,864 +307 +0\.83 % +307 .* layer1\.1\.conv1\n/);
    expect(stdout).toContain("prunable weights  21,265,088, 11,164,352 of them stored, the rest shared\n");
    expect(stdout).toContain("BatchNorm         17,024 parameters\n");
    expect(stdout).toMatch(/MACs per image +4\.56\d M of 1159\.402 M\n/);
    expect(stdout).toMatch(/DyReLU +3,181,168 parameters/);
  });
});
