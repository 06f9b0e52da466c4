import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Distribution,
  equalPerFilter,
  equalPerLayer,
  erdosRenyi,
  erdosRenyiKernel,
  type LayerShape,
  uniformDistribution,
} from "../../src/sparse/distribution.js";
import { type ErkTable, resnet34, resnet34Shared, resnet50, resnet50Shared } from "./erk-tables.js";

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
const size = (layer: LayerShape) => layer.shape.reduce((a, b) => a * b, 1);

/** Conv and classifier tensors of the CIFAR ResNets; `shared`: blocks 3 and on own none. */
function resnetLayers(depth: 34 | 50, shared: boolean): LayerShape[] {
  const expansion = depth === 34 ? 1 : 4;
  const layers: LayerShape[] = [{ name: "stem", shape: [64, 3, 3, 3] }];
  let channels = 64;
  [3, 4, 6, 3].forEach((blocks, stage) => {
    const planes = 64 * 2 ** stage;
    for (let block = 0; block < blocks; block++) {
      const input = block === 0 ? channels : planes * expansion;
      const name = `stage${stage + 1}.block${block + 1}`;
      if (!shared || block < 2) {
        const convolutions =
          depth === 34
            ? [
                [planes, input, 3, 3],
                [planes, planes, 3, 3],
              ]
            : [
                [planes, input, 1, 1],
                [planes, planes, 3, 3],
                [planes * 4, planes, 1, 1],
              ];
        convolutions.forEach((shape, index) => {
          layers.push({ name: `${name}.conv${index + 1}`, shape });
        });
      }
      if (block === 0 && input !== planes * expansion) {
        layers.push({ name: `${name}.shortcut`, shape: [planes * expansion, input, 1, 1] });
      }
    }
    channels = planes * expansion;
  });
  layers.push({ name: "fc", shape: [10, channels] });
  return layers;
}

const sparsities = [0.99, 0.999, 0.9995, 0.9999];
const budgets = { 34: [212_650, 21_265, 10_632, 2_126], 50: [234_677, 23_467, 11_733, 2_346] } as const;

const cases: [string, 34 | 50, boolean, ErkTable, number][] = [
  ["ResNet-34", 34, false, resnet34, 21_265_088],
  ["ResNet-34 with weight sharing", 34, true, resnet34Shared, 21_265_088],
  ["ResNet-50", 50, false, resnet50, 23_467_712],
  ["ResNet-50 with weight sharing", 50, true, resnet50Shared, 23_467_712],
];

describe.each(cases)("Erdős–Rényi-Kernel counts of %s", (_, depth, shared, table, full) => {
  const layers = resnetLayers(depth, shared);

  it("the masked tensors and their weights are as published", () => {
    expect(layers).toHaveLength(table.tensors);
    expect(sum(layers.map(size))).toBe(table.weights);
    const shapes = new Map<string, number>();
    for (const layer of layers) shapes.set(layer.shape.join(), (shapes.get(layer.shape.join()) ?? 0) + 1);
    expect(Object.fromEntries(shapes)).toEqual(
      Object.fromEntries(Object.entries(table.kept).map(([shape, [tensors]]) => [shape, tensors])),
    );
  });

  it.each(sparsities.map((sparsity, column) => [sparsity * 100, sparsity, column]))(
    "at %f %% sparsity",
    (_, sparsity, column) => {
      const counts = erdosRenyiKernel(layers, ((1 - sparsity) * full) / table.weights);
      expect(sum(counts)).toBe(budgets[depth][column]);
      layers.forEach(({ name, shape }, index) => {
        const [, ...kept] = table.kept[shape.join()];
        // The table is printed to 0.05, and rounding moves a count by less than 1.
        expect(Math.abs(counts[index] - kept[column]), `${name}: ${counts[index]} for ${kept[column]}`).toBeLessThan(
          1.05,
        );
        if (counts[index] < size(layers[index])) {
          expect(Math.abs(counts[index] - table.epsilon[column] * sum(shape)), `${name}: ε·Σdims`).toBeLessThan(1.5);
        }
      });
    },
  );
});

it("tensors that would need more weights than they have are kept whole: fc and, with sharing, the stem at 99 %", () => {
  const whole = (layers: LayerShape[], density: number) => {
    const counts = erdosRenyiKernel(layers, density);
    return layers.filter((layer, index) => counts[index] === size(layer)).map((layer) => layer.name);
  };
  expect(whole(resnetLayers(34, false), 0.01)).toEqual(["fc"]);
  expect(whole(resnetLayers(34, true), (0.01 * 21_265_088) / 11_164_352)).toEqual(["stem", "fc"]);
  expect(whole(resnetLayers(50, false), 0.01)).toEqual([]);
});

describe("other distributions", () => {
  const layers = [
    { name: "conv", shape: [4, 2, 3, 3] }, // 72 weights
    { name: "fc", shape: [2, 4] }, // 8 weights
  ];

  it("Erdős–Rényi leaves the kernel dimensions out: densities stand as 6/8 to 6/8", () => {
    expect(erdosRenyi(layers, 0.5)).toEqual([36, 4]);
  });

  it("Erdős–Rényi-Kernel counts them: weights kept stand as 12 to 6 until fc is whole", () => {
    expect(erdosRenyiKernel(layers, 0.15)).toEqual([8, 4]);
    expect(erdosRenyiKernel(layers, 0.5)).toEqual([32, 8]);
  });

  it("equal per layer gives as many to each tensor, equal per filter as many to each output channel", () => {
    expect(equalPerLayer(layers, 0.15)).toEqual([6, 6]);
    expect(equalPerFilter(layers, 0.15)).toEqual([8, 4]);
    expect(equalPerLayer(layers, 0.5)).toEqual([32, 8]);
  });

  it("uniform gives every tensor the same density", () => {
    expect(uniformDistribution(layers, 0.25)).toEqual([18, 2]);
  });
});

describe("rounding", () => {
  const line = (...sizes: number[]) => sizes.map((n, index) => ({ name: `fc${index}`, shape: [1, n] }));

  it("gives the weights that are left to the largest remainders, then to the earlier tensor", () => {
    expect(uniformDistribution(line(11, 14, 15), 0.5)).toEqual([6, 7, 7]);
    expect(uniformDistribution(line(17, 12, 11), 0.1)).toEqual([2, 1, 1]);
  });

  it("keeps at least one weight in every tensor and takes it where there are more", () => {
    expect(uniformDistribution(line(2, 2, 96), 0.1)).toEqual([1, 1, 8]);
  });

  it("a density that was meant to give a whole number gives it", () => {
    expect(sum(uniformDistribution(line(20_000, 1_000), 0.001))).toBe(21);
    expect(sum(uniformDistribution(line(20_000, 1_000), 1 - 0.999))).toBe(21);
    expect(sum(uniformDistribution(line(100), 0.29))).toBe(29);
    expect(sum(erdosRenyiKernel(line(9_000, 1_000), 1 - 0.9999 + 0.0009))).toBe(10);
  });

  it("density 1 keeps everything", () => {
    expect(erdosRenyiKernel(line(7, 300), 1)).toEqual([7, 300]);
  });

  it("too few weights for the tensors, or a density outside (0, 1], is refused", () => {
    expect(() => uniformDistribution(line(10, 10, 10), 0.05)).toThrow(
      "distribution: expected at least one weight for each of 3 tensors, got 1 at density 0.05; choose a larger density",
    );
    for (const density of [0, -0.1, 1.5, Number.NaN]) {
      expect(() => uniformDistribution(line(10), density)).toThrow("expected a density above 0 and at most 1");
    }
  });

  it.each<[string, Distribution]>([
    ["Erdős–Rényi-Kernel", erdosRenyiKernel],
    ["Erdős–Rényi", erdosRenyi],
    ["uniform", uniformDistribution],
    ["equal per layer", equalPerLayer],
    ["equal per filter", equalPerFilter],
  ])("%s: counts are whole, within each tensor and sum to ⌊density·N⌋ for any network", (_, distribution) => {
    const dimension = fc.integer({ min: 1, max: 40 });
    const shape = fc.oneof(
      fc.tuple(dimension, dimension),
      fc.tuple(dimension, dimension, fc.constant(3), fc.constant(3)),
    );
    const network = fc.array(shape, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(network, fc.integer({ min: 1, max: 1000 }), (shapes, thousandths) => {
        const layers = shapes.map((dims, index) => ({ name: `${index}`, shape: dims as number[] }));
        const total = sum(layers.map(size));
        const wanted = Math.floor((thousandths * total) / 1000);
        fc.pre(wanted >= layers.length);
        const counts = distribution(layers, thousandths / 1000);
        expect(sum(counts)).toBe(wanted);
        counts.forEach((count, index) => {
          expect(Number.isInteger(count) && count >= 1 && count <= size(layers[index])).toBe(true);
        });
      }),
    );
  });
});
