import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { add, batchNorm, conv2d, globalAveragePool, linear, relu, sum } from "../../src/ops/index.js";
import { backward, DenseGradient, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { hashAt, signed } from "../numbers.js";

const options = { dtype: "f64" } as const;
const channels = 6;
const [height, width, batch] = [5, 4, 3];

interface Layer {
  readonly topology: Topology;
  readonly values: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** Convolution and BatchNorm over few connections; biases of either sign, so dead channels are zero or constant. */
function layer(seed: number, nnz: number): Layer {
  const shape = [channels, channels, 3, 3];
  const order = Array.from({ length: sizeOf(shape) }, (_, i) => i).sort((a, b) => hashAt(seed, a) - hashAt(seed, b));
  const topology = new Topology(shape, Int32Array.from(order.slice(0, nnz)).sort());
  const leaf = (t: number, size: number, around: number) =>
    Tensor.from(
      signed(seed + t, size).map((v) => v + around),
      [size],
      { ...options, requiresGradient: true },
    ).keep();
  return { topology, values: leaf(1, nnz, 0), weight: leaf(2, channels, 1), bias: leaf(3, channels, 0) };
}

/** Outputs of each layer that the last one's connections and the residual paths lead to the loss from. */
function neededOutputs(layers: readonly Layer[], last: readonly number[]): Int32Array[] {
  const feeds = (to: Layer, outputs: Int32Array) => {
    const inputs = new Int32Array(channels);
    for (const index of to.topology.indices) {
      const [o, i] = [Math.floor(index / (channels * 9)), Math.floor((index % (channels * 9)) / 9)];
      if (outputs[o]) inputs[i] = 1;
    }
    return inputs;
  };
  const [, second, third, fourth] = layers;
  const d = Int32Array.from(last);
  const c = feeds(fourth, d);
  const joined = feeds(third, c).map((flag, i) => flag | d[i]);
  return [feeds(second, joined), joined, c, d].map((flags) => Int32Array.from(flags));
}

/** Loss and gradients of stem, residual block and pool: conv-BN-ReLU-conv-BN-(+x)-ReLU-conv-BN-ReLU-conv-BN-(+)-ReLU. */
function run(
  layers: readonly Layer[],
  needed: readonly Int32Array[] | null,
  training: boolean,
  last: readonly number[],
  growing = false,
) {
  return scope(() => {
    const dense = layers.map(() => new DenseGradient());
    for (const gradient of dense) gradient.wanted = growing;
    const leaves = layers.flatMap(({ values, weight, bias }) => [values, weight, bias]);
    for (const leaf of leaves) leaf.gradient = null;
    const image = Tensor.from(signed(99, channels * height * width * batch), [channels, height, width, batch], {
      ...options,
      requiresGradient: true,
    });
    const normalized = (x: Tensor, k: number) => {
      const { topology, values, weight, bias } = layers[k];
      const wanted = needed ? Tensor.from(needed[k], [channels], { dtype: "i32" }) : null;
      const y = conv2d(x, new SparseTensor(topology, values, dense[k]), { padding: 1, needed: wanted });
      const runningMean = Tensor.from(signed(50 + k, channels), [channels], options);
      const runningVariance = Tensor.full([channels], 0.7, options);
      return batchNorm(y, weight, bias, { runningMean, runningVariance, training });
    };
    const inner = relu(normalized(image, 0));
    const block = relu(add(normalized(inner, 1), image));
    const deeper = relu(normalized(block, 2));
    const out = relu(add(normalized(deeper, 3), block));
    const mask = Tensor.from(
      last.map((flag, i) => flag * (1 + i)),
      [1, channels],
      options,
    );
    const loss = sum(linear(globalAveragePool(out), mask));
    backward(loss);
    const gradients = [...leaves, image].map((leaf) => (leaf.gradient as Tensor).dataSync() as Float64Array);
    const grown = dense.map(({ tensor }) => tensor?.dataSync() as Float64Array);
    for (const gradient of dense) gradient.clear();
    return { loss: loss.item(), gradients: growing ? [...gradients, ...grown] : gradients };
  });
}

describe("a network that leaves out channels", () => {
  for (const training of [true, false])
    it(`has the loss and gradients of the complete one, ${training ? "in training" : "in evaluation"}`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 0, max: 12 }), (seed, nnz) => {
          const layers = [1, 2, 3, 4].map((k) => layer(seed * 10 + k, nnz));
          const last = Array.from({ length: channels }, (_, i) => Number(hashAt(seed, i) % 3 > 0));
          const complete = run(layers, null, training, last);
          const compact = run(layers, neededOutputs(layers, last), training, last);
          expect(compact.loss).toBeCloseTo(complete.loss, 10);
          for (const [k, expected] of complete.gradients.entries())
            for (const [i, value] of expected.entries()) expect(compact.gradients[k][i]).toBeCloseTo(value, 9);
        }),
        { numRuns: 60 },
      );
    });

  it("has the gradients of missing weights of the complete one, empty channels among them", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 0, max: 12 }), (seed, nnz) => {
        const layers = [1, 2, 3, 4].map((k) => layer(seed * 10 + k, nnz));
        const last = Array.from({ length: channels }, (_, i) => Number(hashAt(seed, i) % 3 > 0));
        const complete = run(layers, null, true, last, true);
        const asked = neededOutputs(layers, last).map((flags) => flags.map((flag) => 1 + flag));
        const compact = run(layers, asked, true, last, true);
        expect(complete.gradients.at(-1)).toHaveLength(channels * channels * 9);
        for (const [k, expected] of complete.gradients.entries())
          for (const [i, value] of expected.entries()) expect(compact.gradients[k][i]).toBeCloseTo(value, 9);
      }),
      { numRuns: 60 },
    );
  });
});
