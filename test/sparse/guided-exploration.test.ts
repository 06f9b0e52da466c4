import { describe, expect, it } from "vitest";
import { SGD } from "../../src/optim/index.js";
import { growingBy, prunable, rigl, type SparseMethod, SparseTraining } from "../../src/sparse/index.js";
import { type Callback, fit, type TrainContext } from "../../src/train/index.js";
import { collect, fewDigits, only } from "../train/tiny.js";
import { SmallNetwork } from "./small-network.js";

const options = { density: 0.1, steps: 20, interval: 5 };

/** Trains 20 steps and notes loss and positions after each. */
async function run(method: SparseMethod) {
  const model = new SmallNetwork();
  const optimizer = new SGD();
  const wanted: boolean[] = [];
  const places: string[] = [];
  const watch: Callback = {
    name: "watch",
    onBackward({ parameters }: TrainContext) {
      wanted.push(prunable(parameters()).some(({ denseGradient }) => denseGradient.wanted));
      places.push(
        prunable(parameters())
          .map(({ sparse }) => sparse?.topology.indices.join())
          .join("|"),
      );
    },
  };
  const sparse = new SparseTraining(method, { seed: 3, density: 0.1, fullSize: 3816 });
  const settings = { epochs: 4, batch: 16, seed: 1, optimizer, learningRate: () => 0.05, callbacks: [sparse, watch] };
  const events = await collect(fit(model, fewDigits(80), settings));
  model.dispose();
  optimizer.dispose();
  return { events, wanted, places };
}

describe("growth among a random few", () => {
  it("forms no dense gradient, keeps every count, and the candidates are gone before the optimizer's step", async () => {
    const { events, wanted } = await run(growingBy(rigl(options), "gse"));
    expect(wanted).not.toContain(true);
    const changes = only(events, "topology");
    expect(changes.map(({ step, nnz }) => [step, nnz])).toEqual([
      [5, 381],
      [10, 381],
      [15, 381],
    ]);
    for (const { dropped, grown } of changes) expect(dropped).toBe(grown);
    expect(only(events, "step").map(({ nnz }) => nnz)).toEqual(new Array(20).fill(381));
  });

  it("changes nothing about the steps before the first update: same losses as RigL's, same places, bit for bit", async () => {
    const [guided, dense] = [await run(growingBy(rigl(options), "gse")), await run(rigl(options))];
    const losses = (events: typeof dense.events) => only(events, "step").map(({ loss }) => loss);
    // Step 5 computes with candidates of value 0; sums in another grouping may round differently.
    expect(losses(guided.events).slice(0, 4)).toEqual(losses(dense.events).slice(0, 4));
    expect(losses(guided.events)[4]).toBeCloseTo(losses(dense.events)[4], 5);
    expect(guided.places.slice(0, 5)).toEqual(dense.places.slice(0, 5));
    expect(guided.places[5]).not.toBe(dense.places[5]);
  });

  it("is refused for a method without exchanges", () => {
    const plain: SparseMethod = { name: "plain", initialize: () => [], plan: () => null };
    expect(() => growingBy(plain, "gse")).toThrow(
      "growth: expected a method that exchanges weights by a plan, got plain",
    );
  });
});
