import { afterEach, describe, expect, it } from "vitest";
import { DyReluPhasing, prepare, type Recipe, type TrainConfigInput } from "../../src/east/index.js";
import { DyReLU, Sequential } from "../../src/nn/index.js";
import { SGD } from "../../src/optim/index.js";
import { memory, scope, Tensor } from "../../src/tensor/index.js";
import { type Callback, fit, type TrainContext } from "../../src/train/index.js";
import { collect, fewDigits, only, TinyNetwork } from "../train/tiny.js";

const images = { classes: Array.from("0123456789"), shape: [1, 8, 8], mean: [0], std: [1] } as const;
const made: Recipe[] = [];
afterEach(() => {
  for (const { model } of made.splice(0)) model.dispose();
});

/** A network as training starts. */
function started(config: TrainConfigInput): Recipe {
  const recipe = prepare(config, images, 1000);
  for (const callback of recipe.callbacks) (callback as Callback).onStart?.({ model: recipe.model } as TrainContext);
  made.push(recipe);
  return recipe;
}

describe("beta over 250 epochs", () => {
  const table = [
    [1, 1],
    [62, 1],
    [63, 0.992],
    [80, 0.715],
    [100, 0.39],
    [123, 0.016],
  ];
  const phasing = new DyReluPhasing();

  it.each([1, 352])(
    "is that of the published schedule with %d steps per epoch, and moves once per epoch",
    (perEpoch) => {
      const steps = 250 * perEpoch;
      for (const [epoch, beta] of table)
        for (const step of [(epoch - 1) * perEpoch + 1, epoch * perEpoch])
          expect(phasing.beta(step, steps), `step ${step}`).toBeCloseTo(beta, 3);
      expect(phasing.beta(62 * perEpoch, steps)).toBe(1);
      for (const epoch of [124, 125, 250]) expect(phasing.beta((epoch - 1) * perEpoch + 1, steps), `${epoch}`).toBe(0);
      for (let step = 2; step <= steps; step++) {
        const moved = phasing.beta(step, steps) !== phasing.beta(step - 1, steps);
        const epoch = Math.ceil(step / perEpoch);
        if (moved !== ((step - 1) % perEpoch === 0 && epoch >= 63 && epoch <= 124))
          expect.fail(`moves at step ${step}`);
      }
    },
  );

  it("follows other shares of the run", () => {
    const early = new DyReluPhasing({ start: 0, end: 0.2 });
    expect([1, 10, 20, 100].map((step) => early.beta(step, 100))).toEqual([
      expect.closeTo(0.94, 10),
      expect.closeTo(0.5, 10),
      0,
      0,
    ]);
  });
});

describe("DyReLU phasing", () => {
  it("puts 33 DyReLUs into ResNet-34 with 3.18 million parameters, and 49 into ResNet-50 with 28.4", () => {
    for (const [model, count, size] of [
      ["resnet34", 33, 3.18],
      ["resnet50", 49, 28.4],
    ] as const) {
      const { model: network } = prepare({ model, dyrelu: true }, images, 1000);
      const sites = [...network.modules().values()].filter((module) => module instanceof DyReLU);
      expect(sites.length).toBe(count);
      const parameters = sites.flatMap((site) => site.parameters());
      expect(parameters.every(({ prunable }) => !prunable)).toBe(true);
      expect(parameters.reduce((total, parameter) => total + parameter.size, 0) / 1e6).toBeCloseTo(size, 1);
    }
  });

  it("leaves every other weight and every topology as they are without it", () => {
    const config = { model: "resnet20", method: "rigl", sparsity: 90, seed: 11 } as const;
    const [plain, dynamic] = [started(config).model, started({ ...config, dyrelu: true }).model];
    const weights = dynamic.namedParameters();
    expect(weights.size).toBe(plain.namedParameters().size + 19 * 4);
    for (const [name, parameter] of plain.namedParameters()) {
      expect(weights.get(name)?.leaf.dataSync(), name).toEqual(parameter.leaf.dataSync());
      expect(weights.get(name)?.sparse?.topology.indices, name).toEqual(parameter.sparse?.topology.indices);
    }
  });

  it("draws its own weights by the seed, with PyTorch's bounds for weights and biases", () => {
    const of = (seed: number) => {
      const { model } = started({ model: "resnet20", method: "rigl", dyrelu: true, seed });
      const named = model.namedParameters();
      return ["squeeze.weight", "squeeze.bias", "excite.bias"].map(
        (name) => [...(named.get(`activation1.${name}`)?.leaf.dataSync() ?? [])] as number[],
      );
    };
    const [squeeze, bias, excite] = of(4);
    expect([squeeze.length, bias.length, excite.length]).toEqual([16 * 4, 4, 64]);
    expect(Math.max(...squeeze.map(Math.abs))).toBeLessThanOrEqual(1 / 4);
    expect(Math.max(...excite.map(Math.abs))).toBeLessThanOrEqual(1 / 2);
    expect(Math.max(...excite.map(Math.abs))).toBeGreaterThan(0.4);
    expect(of(4)).toEqual([squeeze, bias, excite]);
    expect(of(5)).not.toEqual([squeeze, bias, excite]);
  });

  it("frees its parameters and the optimizer's state of them when beta is 0, and is a ReLU from then on", () => {
    const phasing = new DyReluPhasing({ start: 0.25, end: 0.5 });
    const model = new Sequential(phasing.activation(64), phasing.activation(32));
    const optimizer = new SGD();
    const parameters = model.parameters();
    const context = { model, optimizer, steps: 8 } as unknown as TrainContext;
    for (const parameter of parameters) parameter.leaf.gradient = Tensor.zeros(parameter.shape).keep();
    optimizer.step(parameters, { learningRate: 0.1, step: 1, gradientScale: null });
    for (const parameter of parameters) parameter.clearGradient();
    expect(parameters.length).toBe(8);
    expect(optimizer.state().size).toBe(8);
    const live = memory().live;

    phasing.onStepStart(context, 3);
    expect(phasing.report()).toEqual({ beta: expect.closeTo(0.496, 10) }); // 3/8 of the run: its 94th 250th
    expect([model.parameters().length, phasing.final()]).toEqual([8, false]);
    phasing.onStepStart(context, 4);
    expect(phasing.report()).toEqual({ beta: 0 });
    expect([model.parameters().length, phasing.final()]).toEqual([0, true]);
    expect(optimizer.state().size).toBe(0);
    // C²/4 + C/4 + C² + 4C numbers for C channels, twice, of 4 bytes.
    const numbers = [64, 32].reduce((total, c) => total + (5 * c * c) / 4 + (17 * c) / 4, 0);
    expect(live - memory().live).toBeGreaterThanOrEqual(8 * numbers);

    scope(() => {
      const x = Tensor.from(new Float32Array(64).fill(-1).fill(2, 32), [64, 1, 1, 1]);
      const y = model.layers[0].forward(x);
      expect([...y.dataSync()]).toEqual([...new Array(32).fill(0), ...new Array(32).fill(2)]);
    });
  });

  it("keeps training its parameters while beta falls, and reports beta with every step", async () => {
    const phasing = new DyReluPhasing({ start: 0.25, end: 0.75, seed: 2 });
    const model = new TinyNetwork(phasing.activation);
    const squeeze = (model.activation as DyReLU).squeeze?.weight;
    const seen: string[] = [];
    const watch: Callback = {
      name: "watch",
      onStepEnd: ({ model: network }) => {
        if (network.namedParameters().has("activation.squeeze.weight")) seen.push(String(squeeze?.leaf.dataSync()));
      },
    };
    const options = { epochs: 2, batch: 8, seed: 1, optimizer: new SGD(), learningRate: () => 0.1 };
    const events = await collect(fit(model, fewDigits(32), { ...options, callbacks: [phasing, watch] }));
    const betas = [1, 0.996, 0.748, 0.5, 0.244, 0, 0, 0];
    expect(only(events, "step").map(({ beta }) => beta)).toEqual(betas.map((beta) => expect.closeTo(beta, 10)));
    expect(new Set(seen).size).toBe(5);
    expect(only(events, "epoch").map(({ beta }) => beta)).toEqual([0.5, 0]);
    // Only the second epoch's network is what stays.
    expect(only(events, "end")[0].bestAccuracy).not.toBeNull();
    model.dispose();
    options.optimizer.dispose();
  });
});
