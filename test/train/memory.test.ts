import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { DyReluPhasing } from "../../src/east/index.js";
import { SGD } from "../../src/optim/index.js";
import { rigl, SparseTraining } from "../../src/sparse/index.js";
import { memory, synchronize } from "../../src/tensor/index.js";
import { fit, recordRun } from "../../src/train/index.js";
import { fewDigits, TinyNetwork, temporaryFolders } from "./tiny.js";

const folder = temporaryFolders();
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Slope of a straight line through the points by least squares, per 1,000 of x. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return (1000 * covariance) / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

describe("3,000 steps of training into a run folder", () => {
  it("with DyReLU, topology updates, evaluations and checkpoints do not grow memory", {
    timeout: 120_000,
  }, async () => {
    const phasing = new DyReluPhasing({ start: 0, end: 1 });
    const model = new TinyNetwork(phasing.activation);
    const optimizer = new SGD();
    const steps = 5000; // of which 2,000 to warm up
    const density = 0.5;
    const sparse = new SparseTraining(rigl({ density, steps, interval: 20 }), { seed: 1, density, fullSize: 76 });
    const options = { epochs: steps / 40, batch: 8, seed: 1, optimizer, learningRate: () => 0.01 };
    const data = fewDigits(320);
    const receipt = { config: {}, data: { hash: data.hash } };

    // Garbage-collected memory in use, and all the rest: V8 itself takes and returns megabytes as it likes.
    const heap: [number, number][] = [];
    const beyond: [number, number][] = [];
    const live = new Set<number>();
    const run = recordRun(folder(), { receipt }, (hooks) =>
      fit(model, data, { ...options, ...hooks, callbacks: [sparse, phasing] }),
    );
    for await (const { type, step } of run) {
      if (type !== "step" || step % 100 !== 50 || step < 2000) continue;
      await synchronize();
      collectGarbage();
      const { rss, heapTotal, heapUsed } = process.memoryUsage();
      heap.push([step, heapUsed / 1e6]);
      beyond.push([step, (rss - heapTotal) / 1e6]);
      live.add(memory().live);
    }
    expect(heap.length).toBe(30);
    expect(slope(heap)).toBeLessThan(1);
    expect(slope(beyond)).toBeLessThan(1);
    expect([...live]).toHaveLength(1);
    model.dispose();
    optimizer.dispose();
  });
});
