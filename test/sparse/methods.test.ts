import { describe, expect, it } from "vitest";
import {
  dense,
  erdosRenyiKernel,
  type LayerShape,
  methods,
  randomTopology,
  rigl,
  type SparseMethod,
  scaledInterval,
  set,
  staticRandom,
} from "../../src/sparse/index.js";

/** Steps of a run after which the topology changes. */
const updates = ({ plan }: SparseMethod, steps: number) =>
  Array.from({ length: steps }, (_, i) => i + 1).filter((step) => plan(step) !== null);
const every = (interval: number, count: number) => Array.from({ length: count }, (_, i) => interval * (i + 1));

/** 250 CIFAR-10 epochs of 352 steps. */
const published = { density: 0.01, steps: 88_000 };

describe("RigL", () => {
  it("changes the topology every 4,000 of the published 88,000 steps, until 95 % of them", () => {
    expect(updates(rigl(published), 88_000)).toEqual(every(4000, 20));
    expect(updates(rigl({ ...published, until: 1 }), 88_000)).toEqual(every(4000, 22));
  });

  it("replaces a falling share: 0.4975 at step 4,000, 0.44 at 20,000, 0.2525 at 44,000, 0.015 at 80,000", () => {
    const { plan } = rigl(published);
    expect(plan(4000)).toEqual({
      density: 0.01,
      dropFraction: expect.closeTo(0.4975, 4),
      drop: "magnitude",
      grow: "gradient",
    });
    expect(plan(20_000)?.dropFraction).toBeCloseTo(0.44, 3);
    expect(plan(44_000)?.dropFraction).toBeCloseTo(0.2525, 4);
    expect(plan(80_000)?.dropFraction).toBeCloseTo(0.015, 4);
    expect(rigl({ ...published, dropFraction: 0.3 }).plan(44_000)?.dropFraction).toBeCloseTo(0.1525, 4);
  });

  it("updates as often in a short run as in the published one, but leaves new weights 100 steps to grow", () => {
    expect(updates(rigl({ density: 0.1, steps: 8800 }), 8800)).toEqual(every(400, 20));
    expect(updates(rigl({ density: 0.1, steps: 880 }), 880)).toEqual(every(100, 8));
    expect(updates(rigl({ density: 0.1, steps: 90 }), 90)).toEqual([]);
    expect(updates(rigl({ density: 0.1, steps: 90, interval: 30 }), 90)).toEqual([30, 60]);
    expect(scaledInterval(1_000_000, { updates: 22, longest: 4000 })).toBe(4000);
  });
});

describe("SET", () => {
  it("changes the topology every 1,500 of the published steps and grows at random", () => {
    expect(updates(set(published), 88_000)).toEqual(every(1500, 55));
    expect(set(published).plan(1500)?.grow).toBe("random");
  });
});

describe("a static topology", () => {
  it("never changes", () => {
    expect(updates(staticRandom(published), 1000)).toEqual([]);
  });
});

describe("dense training", () => {
  it("has no sparse weight", () => {
    expect(dense().initialize([{ name: "w", shape: [4, 4] }], 1, 0)).toEqual([]);
    expect(updates(dense(), 1000)).toEqual([]);
  });
});

describe("a first topology", () => {
  const layers: LayerShape[] = [
    { name: "a", shape: [4, 2, 3, 3] },
    { name: "b", shape: [8, 4, 1, 1] },
    { name: "c", shape: [10, 8] },
  ];

  it.each(["static", "set", "rigl"] as const)("of %s has ERK counts that sum to ⌊0.25 · 184⌋ = 46", async (name) => {
    const first = await methods[name]({ density: 0.25, steps: 100 }).initialize(layers, 0.25, 1);
    // Σ dims 12, 14, 18 of 44 in all, 46 weights: 12.5, 14.6, 18.8, by largest remainder.
    expect(first.map(({ nnz }) => nnz)).toEqual([12, 15, 19]);
  });

  const draw = randomTopology(erdosRenyiKernel);

  it("is the same for the same seed, and another for another", () => {
    const at = (seed: number) => draw(layers, 0.25, seed).map(({ indices }) => [...indices]);
    expect(at(5)).toEqual(at(5));
    expect(at(5)).not.toEqual(at(6));
  });

  it("takes every position equally often", () => {
    const chosen = new Array(80).fill(0);
    for (let seed = 0; seed < 2000; seed++)
      for (const index of draw([layers[2]], 0.25, seed)[0].indices) chosen[index]++;
    // 2,000 draws of 20 in 80: 500 each, standard deviation 19.
    for (const count of chosen) expect(Math.abs(count - 500)).toBeLessThan(90);
  });
});
