import { describe, expect, it } from "vitest";
import {
  add,
  batchNorm,
  conv2d,
  countCorrect,
  crossEntropy,
  dyrelu,
  globalAveragePool,
  linear,
  maxPool,
  mean,
  multiply,
  relu,
  reshape,
  scaleBy,
  sum,
} from "../../src/ops/index.js";
import { defaultDevice, SparseTensor, scope, Tensor, Topology } from "../../src/tensor/index.js";

const zeros = (...shape: number[]) => Tensor.zeros(shape);
const labels = (...values: number[]) => Tensor.from(values, [values.length], { dtype: "i32" });
const statistics = (c: number) => ({ runningMean: zeros(c), runningVariance: zeros(c), training: true });

describe("an op refuses", () => {
  it.each([
    [
      "sums of unlike shapes",
      () => add(zeros(2, 3), zeros(3, 2)),
      "add: expected two tensors of shape [2, 3], got [3, 2]",
    ],
    [
      "products of unlike shapes",
      () => multiply(zeros(6), zeros(2, 3)),
      "multiply: expected two tensors of shape [6], got [2, 3]",
    ],
    ["a factor of two", () => scaleBy(zeros(3), zeros(2)), "scaleBy: expected a factor of one element, got shape [2]"],
    ["a shape of another size", () => reshape(zeros(6), [4]), "reshape: expected 6 elements, got shape [4]"],
    [
      "a weight of other channels",
      () => conv2d(zeros(3, 4, 4, 2), zeros(5, 2, 3, 3)),
      "conv2d: expected x [c, h, w, n] and weight [o, c, kh, kw] with the same c, got [3, 4, 4, 2] and [5, 2, 3, 3]",
    ],
    ["an image without batch", () => conv2d(zeros(3, 4, 4), zeros(5, 3, 3, 3)), "conv2d: expected x [c, h, w, n]"],
    [
      "stride 0",
      () => conv2d(zeros(3, 4, 4, 2), zeros(5, 3, 3, 3), { stride: 0 }),
      "conv2d: expected a stride of at least 1, got 0",
    ],
    [
      "half a padding",
      () => conv2d(zeros(3, 4, 4, 2), zeros(5, 3, 3, 3), { padding: 0.5 }),
      "conv2d: expected a padding of at least 0, got 0.5",
    ],
    [
      "an image smaller than the kernel",
      () => conv2d(zeros(3, 2, 2, 2), zeros(5, 3, 3, 3)),
      "conv2d: expected an image of at least 3 × 3 after padding, got 2 × 2",
    ],
    [
      "a linear layer of other inputs",
      () => linear(zeros(3, 2), zeros(5, 4)),
      "linear: expected x [i, n] and weight [o, i] with the same i, got [3, 2] and [5, 4]",
    ],
    [
      "a bias of other outputs",
      () => linear(zeros(3, 2), zeros(5, 3), zeros(4)),
      "linear: expected a bias of 5, got 4",
    ],
    [
      "planes without batch",
      () => globalAveragePool(zeros(3, 4, 4)),
      "globalAveragePool: expected x [c, h, w, n], got [3, 4, 4]",
    ],
    ["pooling of no planes", () => maxPool(zeros(3, 4), { kernel: 2 }), "maxPool: expected x [c, h, w, n], got [3, 4]"],
    [
      "pooling with a kernel of 0",
      () => maxPool(zeros(3, 4, 4, 1), { kernel: 0 }),
      "maxPool: expected a kernel and a stride of at least 1, got 0 and 0",
    ],
    [
      "pooling with stride 0",
      () => maxPool(zeros(3, 4, 4, 1), { kernel: 2, stride: 0 }),
      "maxPool: expected a kernel and a stride of at least 1, got 2 and 0",
    ],
    [
      "pooling padded by more than half",
      () => maxPool(zeros(3, 4, 4, 1), { kernel: 3, padding: 2 }),
      "maxPool: expected a padding from 0 to half the kernel, got 2",
    ],
    [
      "pooling with padding below 0",
      () => maxPool(zeros(3, 4, 4, 1), { kernel: 3, padding: -1 }),
      "maxPool: expected a padding from 0 to half the kernel, got -1",
    ],
    [
      "pooling of an image smaller than the kernel",
      () => maxPool(zeros(3, 2, 2, 1), { kernel: 3 }),
      "maxPool: expected an image of at least 3 × 3 after padding, got 2 × 2",
    ],
    [
      "coefficients of other channels",
      () => dyrelu(zeros(2, 3, 3, 4), zeros(7, 4), { beta: 1 }),
      "dyrelu: expected x [c, h, w, n] and u [4c, n], got [2, 3, 3, 4] and [7, 4]",
    ],
    [
      "a phase above 1",
      () => dyrelu(zeros(2, 3, 3, 4), zeros(8, 4), { beta: 1.1 }),
      "dyrelu: expected beta from 0 to 1, got 1.1",
    ],
    [
      "labels of another count",
      () => crossEntropy(zeros(3, 4), labels(0, 1)),
      "crossEntropy: expected logits [classes, n] and n labels, got [3, 4] and 2",
    ],
    [
      "smoothing of 1",
      () => crossEntropy(zeros(3, 2), labels(0, 1), { labelSmoothing: 1 }),
      "crossEntropy: expected label smoothing from 0 to below 1, got 1",
    ],
    [
      "counting with labels of another count",
      () => countCorrect(zeros(3, 4), labels(0, 1)),
      "countCorrect: expected logits [classes, n] and n labels, got [3, 4] and 2",
    ],
  ] as [string, () => unknown, string][])("%s", (_, call, message) => {
    scope(() => expect(call).toThrow(message));
  });

  it.each([
    ["f32 with f64", () => add(zeros(2), Tensor.zeros([2], { dtype: "f64" }))],
    ["whole numbers", () => relu(labels(1, 2))],
    ["labels that are no whole numbers", () => crossEntropy(zeros(3, 2), zeros(2))],
  ] as [string, () => unknown][])("to mix or compute %s", (_, call) => {
    scope(() => expect(call).toThrow(expect.objectContaining({ code: "EASTING_INVALID" })));
  });

  it("labels outside the classes, once the result is read; a GPU's kernel cannot throw, and gives NaN", () => {
    scope(() => {
      const loss = crossEntropy(zeros(3, 2), labels(0, 3));
      if (defaultDevice === "cuda") expect(loss.item()).toBeNaN();
      else expect(() => loss.item()).toThrow(expect.objectContaining({ code: "EASTING_KERNEL" }));
    });
  });
});

describe("an empty tensor never crashes: it is refused, or gives zeros or nothing", () => {
  const none = (...shape: number[]) => new SparseTensor(new Topology(shape, new Int32Array(0)), zeros(0));
  it.each([
    ["relu", () => relu(zeros(0))],
    ["add", () => add(zeros(0, 3), zeros(0, 3))],
    ["sum", () => sum(zeros(0))],
    ["mean", () => mean(zeros(0))],
    ["reshape", () => reshape(zeros(0), [3, 0])],
    ["conv2d without channels", () => conv2d(zeros(0, 4, 4, 2), zeros(3, 0, 3, 3))],
    ["conv2d without outputs", () => conv2d(zeros(2, 4, 4, 2), zeros(0, 2, 3, 3))],
    ["conv2d without batch", () => conv2d(zeros(2, 4, 4, 0), zeros(3, 2, 3, 3))],
    ["conv2d without taps", () => conv2d(zeros(2, 4, 4, 1), zeros(3, 2, 0, 0))],
    ["sparse conv2d without channels", () => conv2d(zeros(0, 4, 4, 2), none(3, 0, 3, 3))],
    ["sparse conv2d without batch", () => conv2d(zeros(2, 4, 4, 0), none(3, 2, 3, 3))],
    ["linear without inputs", () => linear(zeros(0, 2), zeros(3, 0))],
    ["linear without outputs", () => linear(zeros(2, 2), zeros(0, 2), zeros(0))],
    ["batchNorm without channels", () => batchNorm(zeros(0, 4, 4, 2), zeros(0), zeros(0), statistics(0))],
    ["batchNorm without batch", () => batchNorm(zeros(2, 4, 4, 0), zeros(2), zeros(2), statistics(2))],
    ["dyrelu without channels", () => dyrelu(zeros(0, 4, 4, 2), zeros(0, 2), { beta: 1 })],
    ["dyrelu without batch", () => dyrelu(zeros(2, 4, 4, 0), zeros(8, 0), { beta: 1 })],
    ["globalAveragePool without channels", () => globalAveragePool(zeros(0, 4, 4, 2))],
    ["globalAveragePool without pixels", () => globalAveragePool(zeros(2, 0, 4, 2))],
    ["maxPool without channels", () => maxPool(zeros(0, 4, 4, 2), { kernel: 2 })],
    ["maxPool without batch", () => maxPool(zeros(2, 4, 4, 0), { kernel: 2 })],
    ["crossEntropy without images", () => crossEntropy(zeros(3, 0), labels())],
    ["crossEntropy without classes", () => crossEntropy(zeros(0, 0), labels())],
    ["countCorrect without images", () => countCorrect(zeros(3, 0), labels())],
  ] as [string, () => Tensor][])("%s", (_, call) => {
    scope(() => {
      let result: Tensor;
      try {
        result = call();
        result.dataSync();
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^EASTING_/) });
        return;
      }
      expect(result.dataSync().every((v) => v === 0 || Number.isNaN(v))).toBe(true);
    });
  });
});

describe("countCorrect", () => {
  it("counts labels among the largest logits, ties to the lower class", () => {
    scope(() => {
      // Columns are images.
      const logits = Tensor.from([3, 0, 1, 2, 5, 1, 1, 0, 1], [3, 3]);
      expect(countCorrect(logits, labels(0, 1, 0)).item()).toBe(3);
      expect(countCorrect(logits, labels(1, 0, 1)).item()).toBe(0);
      expect(countCorrect(logits, labels(1, 0, 1), 2).item()).toBe(3);
      expect(countCorrect(logits, labels(2, 2, 2), 2).item()).toBe(0);
      expect(countCorrect(logits, labels(2, 2, 2), 3).item()).toBe(3);
    });
  });
});
