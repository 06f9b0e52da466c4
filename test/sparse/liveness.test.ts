import { describe, expect, it } from "vitest";
import { prepare, type TrainConfigInput } from "../../src/east/index.js";
import { BatchNorm2d, Conv2d, DyReLU, type Module, ReLU, Sequential } from "../../src/nn/index.js";
import { add, conv2d, globalAveragePool, linear, relu } from "../../src/ops/index.js";
import { liveFraction, liveness, livenessOf, prunable } from "../../src/sparse/index.js";
import { SparseTensor, scope, Tensor, Topology } from "../../src/tensor/index.js";
import type { TrainContext } from "../../src/train/index.js";

/** A sparse 1×1 weight from its entries [output, input]. */
function weight(outputs: number, inputs: number, entries: readonly (readonly [number, number])[]): SparseTensor {
  const indices = Int32Array.from(entries, ([o, i]) => o * inputs + i).sort();
  const values = Tensor.full([indices.length], 1, { requiresGradient: true });
  return new SparseTensor(new Topology([outputs, inputs, 1, 1], indices), values);
}

/** Live logits and, per weight, live entries of a network on one image of `channels`. */
function measure(weights: readonly SparseTensor[], channels: number, network: (image: Tensor) => Tensor) {
  return scope(() => {
    const image = Tensor.zeros([channels, 2, 2, 1], { requiresGradient: true });
    const result = liveness(network(image), image);
    for (const { topology } of weights) topology.dispose();
    return {
      logits: result.liveLogits,
      live: weights.map(({ topology }) => result.layers.get(topology)?.live),
      fraction: liveFraction(result),
    };
  });
}

describe("a weight is live", () => {
  it("if it lies on a path from image to logit", () => {
    // image 0 → hidden 1 → logit 0; image 1 → hidden 2 ends there; hidden 0 → logit 1 comes from nowhere.
    const first = weight(3, 2, [
      [1, 0],
      [2, 1],
    ]);
    const second = weight(2, 3, [
      [0, 1],
      [1, 0],
    ]);
    expect(measure([first, second], 2, (x) => conv2d(relu(conv2d(x, first)), second))).toEqual({
      logits: 1,
      live: [1, 1],
      fraction: 0.5,
    });
  });

  it("through either side of a residual sum", () => {
    const inner = weight(2, 2, [[0, 1]]);
    const last = weight(1, 2, [[0, 0]]);
    // Channel 0 reaches the logit past the block; the block's weight brings channel 1 there too.
    expect(measure([inner, last], 2, (x) => conv2d(add(x, conv2d(x, inner)), last)).live).toEqual([1, 1]);
    expect(measure([inner, last], 2, (x) => conv2d(add(x, relu(conv2d(x, inner))), last)).logits).toBe(1);
  });

  it("through BatchNorm, fused with sum and ReLU or not, channel by channel", () => {
    const norm = new BatchNorm2d(2).eval();
    const first = weight(2, 1, [[1, 0]]);
    const last = weight(2, 2, [
      [0, 0],
      [1, 1],
    ]);
    for (const then of [relu, (y: Tensor) => y, (y: Tensor) => relu(add(y, y))])
      expect(measure([first, last], 1, (x) => conv2d(then(norm.forward(conv2d(x, first))), last))).toEqual({
        logits: 1,
        live: [1, 1],
        fraction: 2 / 3,
      });
    norm.dispose();
  });

  it("through pooling and the classifier", () => {
    const first = weight(2, 1, [[0, 0]]);
    const classes = new SparseTensor(
      new Topology([3, 2], Int32Array.of(1, 2, 4)),
      Tensor.full([3], 1, { requiresGradient: true }),
    );
    // Class 0 sees channel 1, classes 1 and 2 see channel 0.
    const network = (x: Tensor) => linear(globalAveragePool(conv2d(x, first)), classes);
    expect(measure([first, classes], 1, network)).toEqual({ logits: 2, live: [1, 2], fraction: 3 / 4 });
  });

  it("if it is live in one of the places that share it", () => {
    const shared = weight(2, 2, [
      [0, 0],
      [1, 1],
    ]);
    const last = weight(1, 2, [[0, 0]]);
    const entry = weight(2, 1, [[0, 0]]);
    const network = (x: Tensor) => conv2d(conv2d(conv2d(conv2d(x, entry), shared), shared), last);
    expect(measure([entry, shared, last], 1, network)).toEqual({ logits: 1, live: [1, 1, 1], fraction: 3 / 4 });
  });

  it("through any dense layer", () => {
    const [first, last] = [weight(3, 1, [[2, 0]]), weight(1, 2, [[0, 1]])];
    const dense = new Conv2d(3, 2, { kernel: 1 });
    expect(measure([first, last], 1, (x) => conv2d(dense.forward(conv2d(x, first)), last)).live).toEqual([1, 1]);
    dense.dispose();
  });

  it("by DyReLU, whose coefficients carry one channel to all others", () => {
    const [first, last] = [weight(4, 1, [[3, 0]]), weight(1, 4, [[0, 0]])];
    const phase = { beta: 0.5, blend: "coefficients" } as const;
    const dynamic = new DyReLU(4, { phase });
    const through = (activation: Module) => (x: Tensor) => conv2d(activation.forward(conv2d(x, first)), last);
    expect(measure([first, last], 1, through(dynamic))).toEqual({ logits: 1, live: [1, 1], fraction: 1 });
    expect(measure([first, last], 1, through(new ReLU()))).toEqual({ logits: 0, live: [0, 0], fraction: 0 });
    dynamic.dispose();
  });
});

describe("a network without sparse weights", () => {
  it("has no live fraction", async () => {
    const model = new Sequential(new Conv2d(1, 2, { kernel: 1 }), new ReLU());
    const result = livenessOf(model, [1, 2, 2]);
    expect(result.liveLogits).toBe(2);
    expect(liveFraction(result)).toBe(null);
    expect(model.training).toBe(true);
    model.dispose();
  });
});

describe("at 99.99 % sparsity", () => {
  // Reachability does not depend on the size of the image.
  const images = { classes: Array.from("0123456789"), shape: [3, 8, 8], mean: [0, 0, 0], std: [1, 1, 1] } as const;

  async function masks(count: number, config: TrainConfigInput): Promise<{ logits: number; fraction: number }[]> {
    const found = [];
    for (let seed = 0; seed < count; seed++) {
      const { model, callbacks } = prepare({ sparsity: 99.99, seed, ...config }, images, 45_000);
      const context = { model, imageShape: images.shape } as unknown as TrainContext;
      for (const callback of callbacks) await callback.onStart?.(context);
      const result = livenessOf(model, images.shape);
      expect([...result.layers.keys()].length).toBe(prunable(model.parameters()).length);
      model.dispose();
      found.push({ logits: result.liveLogits, fraction: liveFraction(result) ?? -1 });
    }
    return found;
  }
  const mean = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

  it("about 80 % of random ResNet-34 have no live logit", async () => {
    const found = await masks(60, { model: "resnet34", method: "rigl" });
    const dead = found.filter(({ logits }) => logits === 0);
    // Binomial with p = 0.80: standard deviation 0.05.
    expect(dead.length / 60).toBeGreaterThan(0.68);
    expect(dead.length / 60).toBeLessThan(0.92);
    for (const { fraction } of dead) expect(fraction).toBe(0);
  });

  it("with weight sharing less than 1 % have none, and about 5 of 10 logits live", async () => {
    const found = await masks(60, { model: "resnet34", method: "rigl", shareRatio: 2 });
    expect(found.filter(({ logits }) => logits === 0).length).toBeLessThanOrEqual(2);
    expect(Math.abs(mean(found.map(({ logits }) => logits)) - 5.1)).toBeLessThan(1);
  });

  it("while DyReLU is on every weight and every logit is live", async () => {
    expect(await masks(2, { model: "resnet34", method: "rigl", dyrelu: true })).toEqual([
      { logits: 10, fraction: 1 },
      { logits: 10, fraction: 1 },
    ]);
  });
});
