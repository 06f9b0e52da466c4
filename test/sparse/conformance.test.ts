import { describe, expect, it } from "vitest";
import {
  type Distribution,
  type MethodOptions,
  methods,
  prunable,
  randomTopology,
  type SparseMethod,
  SparseTraining,
  uniformDistribution,
} from "../../src/index.js";
import { SGD } from "../../src/optim/index.js";
import { encodeCheckpoint } from "../../src/train/checkpoint.js";
import {
  type Checkpoint,
  type CheckpointContent,
  type EpochEvent,
  fit,
  type TrainEvent,
} from "../../src/train/index.js";
import { collect, fewDigits, only } from "../train/tiny.js";
import { SmallNetwork } from "./small-network.js";

const data = fewDigits(80);
const weights = 3816;
const density = 0.1;
const [epochs, batch] = [8, 16]; // 40 steps
const options: MethodOptions = { density, steps: 40, interval: 4 };

/** A method made with what the package exports: every tensor loses its smallest weight and gains one at random. */
function nibble({ density, steps }: MethodOptions): SparseMethod {
  const distribution: Distribution = uniformDistribution;
  return {
    name: "nibble",
    distribution,
    initialize: randomTopology(distribution),
    plan: (step) =>
      step % 5 === 0 && step < steps ? { density, dropFraction: 1e-9, drop: "magnitude", grow: "random" } : null,
  };
}

interface Run {
  readonly events: readonly TrainEvent[];
  readonly last: CheckpointContent;
  readonly nnz: readonly number[];
}

/** Trains for 40 steps, or on from a checkpoint. */
async function run(
  make: (options: MethodOptions) => SparseMethod,
  { seed = 1, stopAfter, resume }: { seed?: number; stopAfter?: number; resume?: CheckpointContent } = {},
): Promise<Run> {
  const model = new SmallNetwork();
  const optimizer = new SGD();
  const method = make(options);
  const sparse = new SparseTraining(method, { density, seed, fullSize: weights });
  let last: Checkpoint | null = null;
  const learningRate = (step: number) => method.learningRate?.(step + 1, 0.05) ?? 0.05;
  const save = async (checkpoint: Checkpoint) => {
    last = checkpoint;
    return "";
  };
  const settings = { epochs, batch, seed: 1, optimizer, learningRate, callbacks: [sparse], save, stopAfter, resume };
  const events = await collect(fit(model, data, settings));
  const nnz = prunable(model.parameters()).map((parameter) => parameter.nnz);
  model.dispose();
  optimizer.dispose();
  return { events, last: (last as unknown as Checkpoint).content, nnz };
}

const bytesOf = (content: CheckpointContent) => Buffer.from(encodeCheckpoint(content)).toString("base64");
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

describe.each(Object.entries({ ...methods, nibble }))("%s", (name, make) => {
  it("ends with exactly ⌊density · N⌋ weights, at least one in every tensor, and says so", async () => {
    const { events, nnz } = await run(make);
    const wanted = name === "dense" ? weights : 381;
    expect(sum(nnz)).toBe(wanted);
    expect(Math.min(...nnz)).toBeGreaterThanOrEqual(1);
    expect(only(events, "end")[0]).toMatchObject({ nnz: wanted, density: wanted / weights });
    for (const event of only(events, "topology"))
      expect(event.nnz).toBeGreaterThanOrEqual(wanted === 381 ? 300 : wanted);
  });

  it("counts explored weights, which never become fewer, and dead layers", async () => {
    const { events } = await run(make);
    const epochs = only(events, "epoch") as (EpochEvent & { explored?: number; deadLayers?: number; nnz: number })[];
    if (name === "dense") return expect(epochs.map(({ explored }) => explored)).toEqual(epochs.map(() => undefined));
    let before = 0;
    for (const { explored = 1, deadLayers, nnz } of epochs) {
      expect(explored).toBeGreaterThanOrEqual(Math.max(before, nnz / weights));
      expect(explored).toBeLessThanOrEqual(1);
      if (nnz < weights) expect(deadLayers).toBeGreaterThanOrEqual(0);
      before = explored;
    }
  });

  it("gives the same bytes for the same seed, also when it was stopped, and others for another", async () => {
    const { last } = await run(make, { seed: 2 });
    expect(bytesOf((await run(make, { seed: 2 })).last)).toBe(bytesOf(last));
    for (const stopAfter of [7, 22, 33]) {
      const { last: half } = await run(make, { seed: 2, stopAfter });
      const { last: whole } = await run(make, { seed: 2, resume: half });
      expect(bytesOf(whole) === bytesOf(last), `stopped after step ${stopAfter}`).toBe(true);
    }
    // Where scores decide, the seed breaks ties alone.
    const drawn = make(options).distribution !== undefined;
    if (drawn) expect(bytesOf((await run(make, { seed: 3 })).last) === bytesOf(last)).toBe(false);
  });
});
