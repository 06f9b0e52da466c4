import { describe, expect, it } from "vitest";
import type { Parameter } from "../../src/nn/index.js";
import {
  chase,
  dsr,
  gmp,
  granet,
  mest,
  mestSoft,
  rigl,
  riglOriginal,
  snfs,
  supTickets,
  topKast,
} from "../../src/sparse/index.js";
import { Topology } from "../../src/tensor/index.js";
import { Follower, sparseWeight } from "./eight.js";

/** Two tensors of four weights: a = [0.5 · | · -0.1], b = [· 0.9 | 0.6 0.2]. */
const pair = (): Parameter[] => [
  sparseWeight("a", [2, 2], { 0: 0.5, 3: -0.1 }),
  sparseWeight("b", [2, 2], { 1: 0.9, 2: 0.6, 3: 0.2 }),
];

/** The changes of topology so far. */
const changes = ({ events }: Follower) => events.filter(({ type }) => type === "topology");

describe("the original RigL", () => {
  it("replaces ⌊r·n⌋ of four, every 100 steps up to 75 % of the run, in the place of the optimizer's step", async () => {
    const method = riglOriginal({ density: 0.5, steps: 1000 });
    expect([100, 150, 700, 800].map((step) => method.plan(step) !== null)).toEqual([true, false, true, false]);
    expect(method.replacesStep).toBe(true);
    const weights = [sparseWeight("w", [2, 4], { 0: 0.5, 2: -0.1, 3: 0.3, 5: -0.8 })];
    const follower = new Follower(method, weights, 0.5);
    // r = 0.15·(1 + cos(100π/750)) = 0.287: ⌊1.15⌋ = 1 leaves, place 2.
    await follower.step(100, [[0, 3, 9, 0, 0, 0, 8, 0]]);
    expect(follower.entries).toEqual([{ 0: 0.5, 2: -0.1, 3: 0.3, 5: -0.8 }]); // 2 has the largest gradient: it returns
    await follower.step(200, [[0, 3, 0, 0, 0, 0, 8, 0]]);
    expect(follower.entries).toEqual([{ 0: 0.5, 3: 0.3, 5: -0.8, 6: 0 }]);
    // r = 0.0129 at step 700: nothing.
    await follower.step(700, [[9, 9, 9, 9, 9, 9, 9, 9]]);
    expect(follower.entries).toEqual([{ 0: 0.5, 3: 0.3, 5: -0.8, 6: 0 }]);
    follower.dispose();
  });
});

describe("GraNet", () => {
  it("prunes by one threshold for the network, then each tensor exchanges ⌈r·n⌉", async () => {
    const follower = new Follower(granet({ density: 3 / 8, steps: 20, interval: 10 }), pair(), 3 / 8);
    // Three of 8 stay: 0.9, 0.6 and 0.5. r = 0.2525 at step 10, so one of one and one of two are exchanged.
    await follower.step(10, [
      [1, 7, 0, 0],
      [0, 0, 3, 4],
    ]);
    // b's 0.2 was pruned and comes back at once, so it keeps its value.
    expect(follower.entries).toEqual([{ 1: 0 }, { 1: 0.9, 3: 0.2 }]);
    follower.dispose();
  });

  it("starts with half the weights and follows the cube to the density at half the run", () => {
    const { plan, finalAfter } = granet({ density: 0.1, steps: 1000, interval: 100 });
    expect(plan(100)?.density).toBeCloseTo(0.1 + 0.4 * 0.8 ** 3, 10);
    expect(plan(500)?.density).toBe(0.1);
    expect(plan(900)?.density).toBe(0.1);
    expect(finalAfter).toBe(500);
  });
});

describe("gradual magnitude pruning", () => {
  it("takes the smallest of the network until the density is reached, and nothing grows", async () => {
    const method = gmp({ density: 0.25, steps: 20, interval: 5 });
    const follower = new Follower(method, pair(), 0.25);
    // Density 0.25 + 0.75/8 = 0.34 after step 5: two of 8 weights.
    await follower.step(5);
    expect(follower.entries).toEqual([{ 0: 0.5 }, { 1: 0.9 }]);
    expect([5, 10, 15].map((step) => method.plan(step) !== null)).toEqual([true, true, false]);
    follower.dispose();
  });
});

describe("MEST", () => {
  it("drops a fifth of the weights, later a tenth, later none, and grows as many at random", async () => {
    const { plan } = mest({ density: 0.1, steps: 160, interval: 5 });
    expect([5, 90, 95, 120, 125].map((step) => plan(step)?.dropFraction ?? null)).toEqual([0.2, 0.2, 0.1, 0.1, null]);
    const weights = [sparseWeight("w", [2, 4], { 0: 0.5, 2: -0.1, 3: 0.3, 5: -0.8 })];
    const follower = new Follower(mest({ density: 0.5, steps: 160, interval: 5 }), weights, 0.5);
    await follower.step(5);
    const [entries] = follower.entries;
    expect(entries).toMatchObject({ 0: 0.5, 3: 0.3, 5: -0.8 });
    expect(Object.keys(entries).length).toBe(4);
    follower.dispose();
  });

  it("with a soft bound is pruned to the density and grown by half, by a quarter, and at last not at all", async () => {
    const method = mestSoft({ density: 0.5, steps: 160, interval: 5 });
    const start = { 0: 0.5, 1: 0.4, 2: -0.1, 3: 0.3, 5: -0.8, 6: 0.2 };
    const follower = new Follower(method, [sparseWeight("w", [2, 4], start)], 0.5);
    await follower.step(5); // 6 → 4 → 6
    expect(follower.entries[0]).toMatchObject({ 0: 0.5, 1: 0.4, 3: 0.3, 5: -0.8 });
    expect(Object.keys(follower.entries[0]).length).toBe(6);
    await follower.step(95); // 6 → 5 → 4 → 5
    expect(Object.keys(follower.entries[0]).length).toBe(5);
    await follower.step(121);
    expect(follower.entries[0]).toEqual({ 0: 0.5, 1: 0.4, 3: 0.3, 5: -0.8 });
    expect(method.finalAfter).toBe(121);
    follower.dispose();
  });
});

describe("DSR", () => {
  const weights = () => [
    sparseWeight("a", [2, 4], { 0: 0.5, 1: 0.0005 }),
    sparseWeight("b", [2, 4], { 1: 0.9, 2: 0.6, 3: -0.0002 }),
  ];

  it("drops what is below the threshold and shares the same number in proportion to what survived", async () => {
    const follower = new Follower(dsr({ density: 5 / 16, steps: 1000, interval: 10 }), weights(), 5 / 16);
    await follower.step(10);
    // One of a, two of b survive; two come back: shares 0.67 and 1.33, rounded 1 and 1, not where one just left.
    const [a, b] = follower.entries;
    expect(a).toMatchObject({ 0: 0.5 });
    expect(b).toMatchObject({ 1: 0.9, 2: 0.6 });
    expect([Object.keys(a).length, Object.keys(b).length]).toEqual([2, 3]);
    expect(a[1]).toBeUndefined();
    expect(b[3]).toBeUndefined();
    follower.dispose();
  });

  it("halves the threshold where too many leave and doubles it where too few do", async () => {
    const follower = new Follower(dsr({ density: 5 / 16, steps: 1000, interval: 10 }), weights(), 5 / 16);
    const threshold = () => (follower.state().header.rule as Record<string, number>).threshold;
    await follower.step(10); // 2 left, 1 was wanted
    expect(threshold()).toBe(0.0005);
    await follower.step(20, [], () => {
      for (const parameter of follower.weights) parameter.write(new Array(parameter.nnz).fill(0.7));
    });
    expect(threshold()).toBe(0.001);
    follower.dispose();
  });

  it("keeps the largest weight of a tensor that is altogether below the threshold", async () => {
    const tiny = [sparseWeight("a", [2, 4], { 0: 1e-5, 1: -3e-5 }), sparseWeight("b", [2, 4], { 1: 0.9 })];
    const follower = new Follower(dsr({ density: 3 / 16, steps: 1000, interval: 10 }), tiny, 3 / 16);
    await follower.step(10);
    expect(follower.entries[0]).toMatchObject({ 1: -3e-5 });
    follower.dispose();
  });

  it("updates every 100 steps, then 200, 400 and 800", async () => {
    const follower = new Follower(dsr({ density: 5 / 16, steps: 200, interval: 1 }), weights(), 5 / 16);
    const updates: number[] = [];
    for (const step of [24, 25, 26, 27, 28, 82, 84, 88, 144, 152]) {
      const before = changes(follower).length;
      await follower.step(step);
      if (changes(follower).length > before) updates.push(step);
    }
    expect(updates).toEqual([24, 25, 26, 28, 84, 88, 144, 152]);
    follower.dispose();
  });
});

describe("sparse momentum (SNFS)", () => {
  it("shares what comes by the mean momentum of existing weights and grows where momentum is largest", async () => {
    const follower = new Follower(snfs({ density: 5 / 8, steps: 100, interval: 2, dropFraction: 0.5 }), pair(), 5 / 8);
    await follower.step(1, [
      [0, 1, 0, 0],
      [0, 0, 0, 0],
    ]);
    // Momentum 0.9·first + second: a [0.2, 0.9, -0.5, 0.2], b [7, 0.2, 0.2, 0.2].
    await follower.step(2, [
      [0.2, 0, -0.5, 0.2],
      [7, 0.2, 0.2, 0.2],
    ]);
    // a keeps 0.5 of two, b 0.9 of three (⌈1.5⌉ = 2 leave): three places, by equal means of 0.2 and 0.2. Each gets 1.5,
    // but a may take ⌊0.99·3⌋ = 2 and b as well: 2 and 1. a grows 1 and 2, b grows 0.
    expect(follower.entries).toEqual([
      { 0: 0.5, 1: 0, 2: 0 },
      { 0: 0, 1: 0.9 },
    ]);
    follower.dispose();
  });
});

describe("Top-KAST", () => {
  const dense = { 0: 0.5, 1: -0.1, 2: 0.3, 3: -0.8, 4: 0.2, 5: 0.05, 6: -0.4, 7: 0.6 };

  /** The weight as `initialize` would leave it: the four largest of eight. */
  function started() {
    const weight = sparseWeight("w", [2, 4], dense);
    const method = topKast({ density: 0.25, steps: 40, interval: 2, weightDecay: 0 });
    const topologies = method.initialize([weight], 0.25, 1) as Topology[];
    weight.replace(topologies[0], weight.drawn(topologies[0].indices));
    return new Follower(method, [weight], 0.25);
  }

  it("uses the two largest forward, trains the four largest, and chooses both anew from the dense weights", async () => {
    const follower = started();
    const [weight] = follower.weights;
    let seen: Record<number, number> = {};
    const step = (delta: readonly number[]) => () => {
      [seen] = follower.entries;
      weight.write(Array.from(weight.leaf.dataSync(), (value, k) => value + delta[k]));
    };
    await follower.step(1, [], step([0.05, 0, 0.2, 0]));
    expect(seen).toEqual({ 0: 0, 3: -0.8, 6: 0, 7: 0.6 });
    // The dense weights are then 0.55 at 0 and -0.2 at 6; 6 leaves B for 2 at the update after step 2.
    await follower.step(2, [], step([0.15, 0, 0, 0]));
    expect(follower.entries).toEqual([{ 0: 0.7, 2: 0, 3: -0.8, 7: 0 }]);
    await follower.step(3, [], step([0, 0, 0, 0]));
    expect(seen).toEqual({ 0: 0.7, 2: 0, 3: -0.8, 7: 0 });
    follower.dispose();
  });

  it("is left with the forward set when updates end", async () => {
    const follower = started();
    for (let step = 1; step <= 39; step++) await follower.step(step);
    expect(follower.entries).toEqual([{ 3: -0.8, 7: 0.6 }]);
    follower.dispose();
  });

  it("decays what the forward pass does not see by λ/density", async () => {
    const weight = sparseWeight("w", [2, 4], dense);
    const method = topKast({ density: 0.25, steps: 40, interval: 2, weightDecay: 0.5 });
    const [topology] = method.initialize([weight], 0.25, 1) as Topology[];
    weight.replace(topology, weight.drawn(topology.indices));
    const follower = new Follower(method, [weight], 0.25);
    await follower.step(1);
    // Learning rate 0.1: 1 − 0.1·0.5/0.25 = 0.8.
    const theta = follower.state().sections.get("rule/theta/w");
    const rounded = Array.from(theta ?? [], (value) => Number(value.toFixed(5)));
    expect(rounded).toEqual([0.4, -0.1, 0.3, -0.8, 0.2, 0.05, -0.32, 0.6]);
    follower.dispose();
  });
});

describe("Chase", () => {
  it("prunes to the density and grows beyond it by the largest gradients of the network", async () => {
    const follower = new Follower(chase({ density: 4 / 8, steps: 1600, interval: 10 }), pair(), 4 / 8);
    // Four of 8 stay (-0.1 leaves). Soft bound ⌊4·(1 + 0.25·(1 + cos(10π/1300)))⌋ = 5: one comes, at b's 0.
    await follower.step(10, [
      [0, 3, 0, 0],
      [8, 0, 0, 0],
    ]);
    expect(follower.entries).toEqual([{ 0: 0.5 }, { 0: 0, 1: 0.9, 2: 0.6, 3: 0.2 }]);
    follower.dispose();
  });

  it("deletes output channels of the smallest mean magnitude for good", async () => {
    const weight = sparseWeight("w", [4, 2, 1, 1], { 0: 0.5, 3: 0.1, 4: -0.9, 6: 0.3 }); // rows 0 to 3
    const follower = new Follower(chase({ density: 4 / 8, steps: 16, interval: 4 }), [weight], 4 / 8);
    // Halfway between updates, at step 6: channel sparsity 0.5·(1 − (1 − 6/13)³) = 0.42, one of four rows: the one of 0.1.
    await follower.step(6);
    expect(follower.entries).toEqual([{ 0: 0.5, 4: -0.9, 6: 0.3 }]);
    // The next update may not use places 2 and 3, whatever their gradients.
    await follower.step(8, [[0, 1, 9, 9, 0, 2, 0, 3]]);
    const places = Object.keys(follower.entries[0]).map(Number);
    expect(places).toEqual([0, 4, 6, 7]);
    follower.dispose();
  });

  it("has exactly the density after 130/160 of the run, and then exchanges as RigL does", async () => {
    const follower = new Follower(chase({ density: 4 / 8, steps: 160, interval: 10 }), pair(), 4 / 8);
    await follower.step(130, [
      [0, 3, 0, 0],
      [8, 0, 0, 0],
    ]);
    expect(follower.entries).toEqual([{ 0: 0.5 }, { 1: 0.9, 2: 0.6, 3: 0.2 }]);
    await follower.step(140, [
      [0, 3, 0, 0],
      [8, 0, 0, 0],
    ]);
    expect(follower.entries).toEqual([{ 1: 0 }, { 0: 0, 1: 0.9, 2: 0.6 }]);
    follower.dispose();
  });
});

describe("Sup-tickets", () => {
  it("averages the weights at the ends of three cycles and prunes the average to the density", async () => {
    const method = supTickets({ density: 2 / 8, steps: 300 }); // cycles of 9 steps from step 274 on
    const weight = sparseWeight("w", [2, 4], { 0: 0.6, 5: -0.9 });
    const follower = new Follower({ ...method, plan: () => null }, [weight], 2 / 8);
    const ticket = (entries: Record<number, number>) => () => {
      const at = Int32Array.from(Object.keys(entries), Number);
      weight.replace(new Topology([2, 4], at), Float32Array.from(Object.values(entries)));
    };
    await follower.step(282);
    await follower.step(291, [], ticket({ 0: 0.3, 2: 1.2 }));
    expect(changes(follower)).toEqual([]);
    await follower.step(300, [], ticket({ 2: 1.5, 5: 0.3 }));
    // Means over three tickets: 0.3 at 0, 0.9 at 2, -0.2 at 5.
    expect(follower.entries).toEqual([{ 0: 0.3, 2: 0.9 }]);
    follower.dispose();
  });

  it("is RigL before, exchanges half the weights once a cycle, and has a learning rate of its own then", () => {
    const method = supTickets({ density: 0.25, steps: 25_000 });
    const inner = rigl({ density: 0.25, steps: 25_000 });
    expect(method.plan(2272)).toEqual(inner.plan(2272));
    expect([22_601, 23_401, 24_201].map((step) => method.plan(step)?.dropFraction)).toEqual([0.5, 0.5, 0.5]);
    expect(method.plan(23_000)).toBe(null);
    expect(method.learningRate?.(22_600, 0.1)).toBe(0.1);
    expect(method.learningRate?.(22_601, 0.1)).toBeCloseTo(0.001, 10);
    expect(method.learningRate?.(23_001, 0.1)).toBeCloseTo(0.005, 10);
  });
});
