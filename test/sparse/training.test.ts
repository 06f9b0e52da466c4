import { afterEach, describe, expect, it } from "vitest";
import { prepare, type Recipe, type TrainConfigInput } from "../../src/east/index.js";
import { Module, type Parameter } from "../../src/nn/index.js";
import { linear, reshape } from "../../src/ops/index.js";
import { nnzOf, prunable, type SparseMethod, SparseTraining, type TopologyChange } from "../../src/sparse/index.js";
import { memory, type Tensor } from "../../src/tensor/index.js";
import type { Callback, TrainContext, TrainEvent } from "../../src/train/index.js";
import { type Eight, eightWeights, setDenseGradient, stateOf } from "./eight.js";

/** A network of eight weights. */
class Single extends Module {
  constructor(readonly w: Parameter) {
    super();
  }
  forward(x: Tensor): Tensor {
    return linear(reshape(x, [4, x.size / 4]), this.w.value);
  }
}

const before: Eight = { at: [0, 2, 3, 5], values: [0.5, -0.1, 0.3, -0.8], velocity: [1, 2, 3, 4] };

/** Runs the callback around two steps, as `fit` does, with this dense gradient where one is wanted. */
async function step(change: TopologyChange | null, gradient: readonly number[], weight = before) {
  const { parameter, optimizer } = eightWeights(weight);
  const model = new Single(parameter);
  const method: SparseMethod = {
    name: "test",
    distribution: (_, density) => [Math.floor(8 * density)],
    initialize: () => [],
    plan: (at) => (at === 3 ? change : null),
  };
  const events: TrainEvent[] = [];
  const context: TrainContext = {
    model,
    optimizer,
    parameters: () => model.parameters(),
    steps: 10,
    stepsPerEpoch: 10,
    imageShape: [4, 1, 1],
    loader: null,
    resuming: false,
    learningRate: 0.1,
    emit: (event) => void events.push(event),
  };
  const callback = new SparseTraining(method, { seed: 1, density: 0.5, fullSize: 16, liveChannels: false });
  await callback.onStart(context);
  const wanted: boolean[] = [];
  for (const at of [2, 3]) {
    callback.onStepStart(context, at);
    wanted.push(parameter.denseGradient.wanted);
    if (parameter.denseGradient.wanted) setDenseGradient(parameter, gradient);
    await callback.onStepEnd(context, at);
  }
  const result = { wanted, state: stateOf({ parameter, optimizer }), events, report: callback.report(context, 3) };
  parameter.denseGradient.clear();
  model.dispose();
  optimizer.dispose();
  return result;
}

const change: TopologyChange = { density: 0.5, dropFraction: 0.5, drop: "magnitude", grow: "gradient" };
const gradient = [9, 0.1, -5, 0.2, 7, 9, 0.3, 0.4];

describe("sparse training", () => {
  it("changes weight, topology and velocity at the steps of the plan and says what it did", async () => {
    const { state, events, report } = await step(change, gradient);
    expect(state).toEqual({ at: [0, 2, 4, 5], values: [0.5, -0.1, 0, -0.8], velocity: [1, 2, 0, 4] });
    // Density counts against the whole network's 16 weights, of which these 8 are stored.
    expect(events.at(-1)).toEqual({
      type: "topology",
      step: 3,
      density: 0.25,
      nnz: 4,
      dropped: 2,
      grown: 2,
      explored: 5 / 8,
      layers: [{ name: "w", nnz: 4, dropped: 2, grown: 2, explored: 5 / 8 }],
    });
    expect(report).toEqual({ nnz: 4, density: 0.25, targetDensity: 0.25 });
  });

  it("asks for the dense gradient before the steps that grow by it, and only then", async () => {
    expect((await step(change, gradient)).wanted).toEqual([false, true]);
    expect((await step({ ...change, dropFraction: 0, density: 0.75 }, gradient)).wanted).toEqual([false, true]);
    expect((await step({ ...change, dropFraction: 0, density: 0.25 }, gradient)).wanted).toEqual([false, false]);
    expect((await step({ ...change, grow: "random" }, gradient)).wanted).toEqual([false, false]);
  });

  it("without a change leaves all as it is", async () => {
    const { state, events } = await step(null, gradient);
    expect(state).toEqual(before);
    expect(events.map(({ type }) => type)).toEqual(["liveness"]);
  });

  it("tells before the first step on a topology what of each layer is live", async () => {
    const layers = [{ name: "w", size: 8, nnz: 4, live: 4, channels: 2, liveChannels: 2 }];
    const { events } = await step(null, gradient);
    expect(events).toEqual([{ type: "liveness", step: 2, liveWeights: 4, liveLogits: 2, layers }]);
    const upper = await step(null, gradient, { at: [1], values: [1], velocity: [0] });
    expect(upper.events[0]).toMatchObject({ liveLogits: 1, layers: [{ channels: 2, liveChannels: 1 }] });
  });

  it("warns at once, and once, when nothing leads from image to logit", async () => {
    const { events } = await step(null, gradient, { at: [], values: [], velocity: [] });
    const message = "no logit depends on the image: too few weights are left to connect them; lower the sparsity";
    expect(events.slice(1)).toEqual([{ type: "warning", step: 2, message }]);
  });

  it("is final from the step on that its method says", () => {
    const method: SparseMethod = { name: "m", distribution: () => [], initialize: () => [], plan: () => null };
    const options = { seed: 1, density: 1, fullSize: 8 };
    expect(new SparseTraining(method, options).final(0)).toBe(true);
    const late = new SparseTraining({ ...method, finalAfter: 7 }, options);
    expect([6, 7, 8].map((at) => late.final(at))).toEqual([false, true, true]);
  });
});

describe("a whole network's weights", () => {
  const made: Recipe[] = [];
  afterEach(() => {
    for (const { model } of made.splice(0)) model.dispose();
  });
  /** The network as training starts. */
  async function started(config: TrainConfigInput): Promise<Recipe> {
    const images = { classes: Array.from("0123456789"), shape: [3, 32, 32], mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const recipe = prepare(config, images, 45_000);
    for (const callback of recipe.callbacks)
      await (callback as Callback).onStart?.({ model: recipe.model } as TrainContext);
    made.push(recipe);
    return recipe;
  }
  const counted = async (config: TrainConfigInput) => nnzOf(prunable((await started(config)).model.parameters()));

  // ⌊d · 21,265,088⌋ and ⌊d · 23,467,712⌋
  it.each([
    ["resnet34", 99, 212_650],
    ["resnet34", 99.9, 21_265],
    ["resnet34", 99.95, 10_632],
    ["resnet34", 99.99, 2_126],
    ["resnet50", 99, 234_677],
    ["resnet50", 99.9, 23_467],
    ["resnet50", 99.95, 11_733],
    ["resnet50", 99.99, 2_346],
  ] as const)("of %s at sparsity %s are %d, with and without weight sharing", async (model, sparsity, nnz) => {
    expect(await counted({ model, method: "rigl", sparsity })).toBe(nnz);
    expect(await counted({ model, method: "rigl", shareRatio: 2, sparsity })).toBe(nnz);
  });

  it("take no memory that the dense network would: ResNet-34 at 99.99 % starts in less than a megabyte", async () => {
    const { live } = memory();
    await started({ model: "resnet34", method: "static", sparsity: 99.99 });
    expect(memory().live - live).toBeLessThan(1e6);
    expect(memory().peak).toBeLessThan(21_265_088); // of 4 bytes each
  });

  it("have at least one entry in every tensor, and BatchNorm stays dense", async () => {
    const { model } = await started({ model: "resnet34", method: "east", sparsity: 99.99 });
    for (const [name, parameter] of model.namedParameters()) {
      expect(parameter.sparse !== null, name).toBe(parameter.prunable);
      expect(parameter.nnz, name).toBeGreaterThanOrEqual(1);
    }
  });

  it("are those that the dense network has at the same places", async () => {
    const dense = await started({ model: "resnet20", method: "dense", seed: 3 });
    const sparse = await started({ model: "resnet20", method: "static", sparsity: 90, seed: 3 });
    const other = dense.model.namedParameters();
    for (const [name, { sparse: weight }] of sparse.model.namedParameters()) {
      if (!weight) continue;
      const full = (other.get(name) as Parameter).leaf.dataSync();
      expect([...weight.values.dataSync()], name).toEqual(Array.from(weight.topology.indices, (i) => full[i]));
    }
  });
});
