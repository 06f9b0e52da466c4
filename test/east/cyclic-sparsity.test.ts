import { describe, expect, it } from "vitest";
import { cyclicSparsity, prepare } from "../../src/east/index.js";
import { Module, type Parameter } from "../../src/nn/index.js";
import { linear, reshape } from "../../src/ops/index.js";
import { rigl, SparseTraining } from "../../src/sparse/index.js";
import type { Tensor } from "../../src/tensor/index.js";
import type { TrainContext, TrainEvent } from "../../src/train/index.js";
import { type Eight, eightWeights, setDenseGradient, stateOf } from "../sparse/eight.js";

const images = { classes: Array.from("0123456789"), shape: [3, 32, 32], mean: [0, 0, 0], std: [1, 1, 1] } as const;

describe("cyclic sparsity over the published 88,000 steps", () => {
  const inner = rigl({ density: 0.001, steps: 88_000 });
  const method = cyclicSparsity(inner, { density: 0.001, steps: 88_000 });

  it("updates every 100 steps until step 35,200, then every 4,000 as RigL does", () => {
    const updates = Array.from({ length: 88_000 }, (_, i) => i + 1).filter((step) => method.plan(step));
    const cyclic = Array.from({ length: 352 }, (_, i) => 100 * (i + 1));
    const after = [36_000, 40_000, 44_000, 48_000, 52_000, 56_000, 60_000, 64_000, 68_000, 72_000, 76_000, 80_000];
    expect(updates).toEqual([...cyclic, ...after]);
    for (const step of after) expect(method.plan(step)).toEqual(inner.plan(step));
  });

  it("swings between 1 and 3 times the density, never dropping and growing in one update", () => {
    expect(method.plan(8800)?.density).toBeCloseTo(0.003, 8);
    expect(method.plan(17_600)?.density).toBeCloseTo(0.001, 8);
    expect(method.plan(26_400)?.density).toBeCloseTo(0.003, 8);
    for (let step = 100; step <= 35_200; step += 100) expect(method.plan(step)?.dropFraction).toBe(0);
  });

  it("ends with a projection to the final density, whatever the interval", () => {
    expect(method.plan(35_200)?.density).toBe(0.001);
    expect(method.finalAfter).toBe(35_200);
    const sparse = cyclicSparsity(inner, { density: 0.001, steps: 88_000, interval: 4000 });
    expect(sparse.plan(32_000)?.density).toBeCloseTo(0.001585, 6);
    expect(sparse.plan(35_199)).toBe(null);
    expect(sparse.plan(35_200)?.density).toBe(0.001);
  });

  it("keeps the peak at 1 where three times the density is more, and takes other cycles", () => {
    expect(cyclicSparsity(inner, { density: 0.5, steps: 1000, cycles: 1 }).plan(100)?.density).toBeCloseTo(1, 2);
    const long = cyclicSparsity(inner, { density: 0.01, steps: 1000, length: 0.1, multiplier: 2, interval: 50 });
    expect(long.finalAfter).toBe(300);
    expect(long.plan(200)?.density).toBeCloseTo(0.03, 4);
  });

  it("in EAST of ResNet-34 counts against the stored weights, 1.905 times as dense", () => {
    const { method: east } = prepare({ model: "resnet34", sparsity: 99.9 }, images, 45_000);
    expect(east.plan(35_200)?.density).toBeCloseTo(0.0019047, 6);
    expect(east.plan(8800)?.density).toBeCloseTo(3 * 0.0019047, 6);
  });
});

class Single extends Module {
  constructor(readonly w: Parameter) {
    super();
  }
  forward(x: Tensor): Tensor {
    return linear(reshape(x, [4, x.size / 4]), this.w.value);
  }
}

describe("one cycle of eight weights, from 2 to 6 and back in 8 steps", () => {
  it("grows at step 3, grows at 6, is projected to 2 at 8 and then belongs to RigL", async () => {
    const start: Eight = { at: [1, 6], values: [0.5, -0.25], velocity: [1, 2] };
    const { parameter, optimizer } = eightWeights(start);
    const model = new Single(parameter);
    const schedule = { density: 0.25, steps: 20 };
    const method = cyclicSparsity(rigl({ ...schedule, interval: 10 }), {
      ...schedule,
      cycles: 1,
      length: 8 / 20,
      interval: 3,
      pattern: "triangular",
    });
    const events: TrainEvent[] = [];
    const context = {
      model,
      optimizer,
      parameters: () => model.parameters(),
      imageShape: [4, 1, 1],
      emit: (event: TrainEvent) => events.push(event),
    };
    const training = new SparseTraining(
      { ...method, initialize: () => [] },
      { seed: 1, density: 0.25, fullSize: 8, liveChannels: false },
    );

    const seen = new Map<number, Eight>();
    for (let step = 1; step <= 10; step++) {
      training.onStepStart(context as unknown as TrainContext, step);
      if (parameter.denseGradient.wanted) setDenseGradient(parameter, [8, 7, -6, 5, -4, 3, 2, 1]);
      const changes = events.length;
      await training.onStepEnd(context as unknown as TrainContext, step);
      parameter.denseGradient.clear();
      if (events.length === changes) continue;
      seen.set(step, stateOf({ parameter, optimizer }));
      // Stands for training: new weights become -index/10, every velocity the index.
      const { at } = seen.get(step) as Eight;
      const trained = (index: number) => start.values[start.at.indexOf(index)] ?? -index / 10;
      parameter.write(at.map(trained));
      optimizer.load([parameter], new Map([["velocity/w", at]]));
    }
    // Density 0.25 + 0.5 · 1/2 after step 3, of 8: 4 weights. Index 1 exists; 0 and 2 have the largest gradients left.
    expect(seen.get(3)).toEqual({ at: [0, 1, 2, 6], values: [0, 0.5, 0, -0.25], velocity: [0, 1, 0, 2] });
    // 0.25 + 0.5 · 3/4 after step 6: 5 weights.
    expect(seen.get(6)).toEqual({ at: [0, 1, 2, 3, 6], values: [0, 0.5, -0.2, 0, -0.25], velocity: [0, 1, 2, 0, 6] });
    // Projection to 2 at step 8: of 0, 0.5, -0.2, -0.3, -0.25 the two largest.
    expect(seen.get(8)).toEqual({ at: [1, 3], values: [0.5, -0.3], velocity: [1, 3] });
    // RigL at step 10 drops ⌈0.2525 · 2⌉ = 1, the -0.3, and grows index 0.
    expect(seen.get(10)).toEqual({ at: [0, 1], values: [0, 0.5], velocity: [0, 1] });
    expect(events.filter(({ type }) => type === "topology")).toMatchObject([
      { type: "topology", step: 3, density: 0.5, nnz: 4, dropped: 0, grown: 2, explored: 4 / 8 },
      { type: "topology", step: 6, density: 0.625, nnz: 5, dropped: 0, grown: 1, explored: 5 / 8 },
      { type: "topology", step: 8, density: 0.25, nnz: 2, dropped: 3, grown: 0, explored: 5 / 8 },
      { type: "topology", step: 10, density: 0.25, nnz: 2, dropped: 1, grown: 1, explored: 5 / 8 },
    ]);
    expect([7, 8].map((step) => training.final(step))).toEqual([false, true]);
    model.dispose();
    optimizer.dispose();
  });
});
