import { afterEach, describe, expect, it } from "vitest";
import { Module, Parameter, ReLU } from "../../../src/nn/index.js";
import { conv2d, linear, reshape } from "../../../src/ops/index.js";
import { SGD } from "../../../src/optim/index.js";
import { denseGradientNorms } from "../../../src/sparse/diagnostics/gradient-flow.js";
import { histogram } from "../../../src/sparse/diagnostics/histograms.js";
import { positiveInputs } from "../../../src/sparse/diagnostics/pre-activations.js";
import { Tensor, Topology } from "../../../src/tensor/index.js";
import type { TrainContext } from "../../../src/train/index.js";

/** 1 × 1 convolution of 2 channels to 2, ReLU, linear 2 → 2, ReLU; half of the 8 weights exist. */
class Tiny extends Module {
  readonly relu = new ReLU();
  readonly conv = new Parameter([2, 2, 1, 1], () => new Float32Array(4), true);
  readonly fc = new Parameter([2, 2], () => new Float32Array(4), true);

  forward(x: Tensor): Tensor {
    const hidden = this.relu.forward(conv2d(x, this.conv.value));
    return this.relu.forward(linear(reshape(hidden, [2, x.shape[3]]), this.fc.value));
  }
}

const made: (Tensor | Module)[] = [];
afterEach(() => {
  for (const each of made.splice(0)) each.dispose();
});
const tensor = (data: readonly number[], shape: readonly number[], dtype: "f32" | "i32" = "f32") => {
  const result = Tensor.from(data, shape, { dtype });
  made.push(result);
  return result;
};

/** conv from input 0 to outputs 0 and 1, fc from each hidden channel to the logit of its number. */
function tiny(conv: readonly number[], fc: readonly number[]): Tiny {
  const model = new Tiny();
  made.push(model);
  model.parameters(); // gives them their names
  model.conv.replace(new Topology([2, 2, 1, 1], Int32Array.of(0, 2)), Float32Array.from(conv));
  model.fc.replace(new Topology([2, 2], Int32Array.of(0, 3)), Float32Array.from(fc));
  return model;
}

describe("positive pre-activations", () => {
  it("are counted at every use of an activation, before it, and 0 is not positive", async () => {
    const model = tiny([2, -1], [1, -2]);
    const images = tensor([1, -1, 2, 7, 7, 7], [2, 1, 1, 3]);
    // Hidden: 2 · (1, -1, 2) and -1 · (1, -1, 2), 3 of 6 above 0. Logits: (2, 0, 4) and -2 · (0, 1, 0), 2 of 6.
    expect(await positiveInputs(model, images)).toEqual([
      { name: "relu", positive: 3 / 6 },
      { name: "relu (2)", positive: 2 / 6 },
    ]);
    expect(model.relu.onInput).toBeNull();
  });
});

describe("gradient flow", () => {
  const context = (model: Tiny, clip?: TrainContext["clip"]) =>
    ({
      model,
      clip,
      optimizer: new SGD(),
      parameters: () => model.parameters(),
      imageShape: [2, 1, 1],
    }) as unknown as TrainContext;
  // Hidden (2, 1), logits (2, 2), so the gradient of the logits is (-1/2, 1/2) for label 0, of the hidden (-1/2, 1).
  const batch = () => ({ images: tensor([1, 3], [2, 1, 1, 1]), labels: tensor([0], [1], "i32"), count: 1 });

  it("is the norm of each layer's gradient, with and without the weights that are missing", async () => {
    const model = tiny([2, 1], [1, 2]);
    const [conv, fc] = await denseGradientNorms(context(model), batch());
    // conv: (-1/2, 1) by the image (1, 3) is -0.5, -1.5, 1, 3, of which the first and third exist.
    expect(conv).toEqual({ name: "conv", norm: near(Math.sqrt(12.5)), activeNorm: near(Math.sqrt(1.25)) });
    // fc: (-1/2, 1/2) by the hidden (2, 1) is -1, -0.5, 1, 0.5, of which the first and last exist.
    expect(fc).toEqual({ name: "fc", norm: near(Math.sqrt(2.5)), activeNorm: near(Math.sqrt(1.25)) });
  });

  it("is what clipping leaves", async () => {
    const model = tiny([2, 1], [1, 2]);
    // Clipped to 1: the existing weights' gradients have norm √2.5 together, the dense ones √15.
    const active = await denseGradientNorms(context(model, { mode: "active", maximum: 1 }), batch());
    expect(active.map(({ norm }) => norm)).toEqual([near(Math.sqrt(12.5 / 2.5)), near(1)]);
    const dense = await denseGradientNorms(context(model, { mode: "dense", maximum: 1 }), batch());
    expect(dense.map(({ norm }) => norm)).toEqual([near(Math.sqrt(12.5 / 15)), near(Math.sqrt(2.5 / 15))]);
  });

  it("leaves no gradient behind, and what others asked for", async () => {
    const model = tiny([2, 1], [1, 2]);
    const limit = { count: 1, key: { seed: 1, purpose: "tie" } } as const;
    Object.assign(model.conv.denseGradient, { wanted: true, limit });
    await denseGradientNorms(context(model), batch());
    expect(model.parameters().map(({ leaf }) => leaf.gradient)).toEqual([null, null]);
    expect(model.conv.denseGradient).toMatchObject({ wanted: true, limit, tensor: null });
    expect(model.fc.denseGradient).toMatchObject({ wanted: false, limit: null, tensor: null });
  });
});

const near = (value: number) => expect.closeTo(value, 5);

describe("a histogram", () => {
  it("counts values in bins of equal width, the largest in the last", () => {
    const values = [-1, -0.6, 0, 0.1, 0.5, 1];
    // Bins from -1, -0.5, 0 and 0.5 on.
    expect(histogram(values, 4)).toEqual({ min: -1, max: 1, mean: 0, std: near(0.660808), counts: [2, 0, 2, 2] });
  });

  it("of equal values has them in its first bin, and of none is empty", () => {
    expect(histogram([3, 3], 2)).toEqual({ min: 3, max: 3, mean: 3, std: 0, counts: [2, 0] });
    expect(histogram([], 2)).toEqual({ min: 0, max: 0, mean: 0, std: 0, counts: [0, 0] });
  });
});
