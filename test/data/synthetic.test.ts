import { describe, expect, test } from "vitest";
import { counterHash, seededOrder } from "../../src/data/counter-hash.js";
import { syntheticDataset } from "../../src/data/synthetic.js";

describe("synthetic images", () => {
  test("follow from the seed alone", () => {
    const options = { shape: [2, 5, 6], count: 40, classes: 4, seed: 7 } as const;
    expect(syntheticDataset(options).hash).toBe(syntheticDataset(options).hash);
    expect(syntheticDataset({ ...options, seed: 8 }).hash).not.toBe(syntheticDataset(options).hash);
    expect(syntheticDataset({ classes: 2, shape: [1, 2, 2], count: 10 }).hash).toBe(
      "87a8b43d8590f896e70dba90fa3b6cb7dbc7e398864e360885aa55b527bcc65f",
    );
  });

  test("come in any shape, every class alike often", () => {
    const data = syntheticDataset({ shape: [1, 1, 3], count: 30, classes: 3, testCount: 6 });
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([27, 3, 6]);
    expect([...data.test.labels]).toEqual([0, 1, 2, 0, 1, 2]);
    expect(data.train.pixels?.length).toBe(27 * 3);
  });

  test("can be learned: the nearest mean of a class finds it", () => {
    const data = syntheticDataset({ shape: [3, 16, 16], count: 500 });
    const size = 3 * 16 * 16;
    const means = data.classes.map(() => new Float64Array(size));
    const train = data.train.pixels as Uint8Array;
    data.train.labels.forEach((label, i) => {
      for (let p = 0; p < size; p++) means[label][p] += train[i * size + p] / (data.train.count / 10);
    });
    const tested = data.test.pixels as Uint8Array;
    const right = data.test.labels.filter((label, i) => {
      const distances = means.map((mean) =>
        mean.reduce((sum, value, p) => sum + (value - tested[i * size + p]) ** 2, 0),
      );
      return distances.indexOf(Math.min(...distances)) === label;
    });
    expect(right.length / data.test.count).toBeGreaterThan(0.95);
  });

  test("refuse impossible requests", () => {
    expect(() => syntheticDataset({ classes: 1 })).toThrow(
      "synthetic classes: expected a whole number of at least 2, got 1",
    );
    expect(() => syntheticDataset({ shape: [3, 0, 4] })).toThrow("synthetic shape: expected");
    expect(() => syntheticDataset({ count: 1e9 })).toThrow("ask for fewer or smaller images");
  });
});

test("the order of a seed is a permutation that never changes", () => {
  expect([...seededOrder(1, 8)]).toEqual([1, 5, 0, 6, 7, 2, 4, 3]);
  expect([...seededOrder(2, 1000)].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect(counterHash(1, 2, 3)).toBe(3167314443);
});
