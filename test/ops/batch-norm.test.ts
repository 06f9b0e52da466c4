import { describe, expect, it } from "vitest";
import { add, batchNorm, multiply, relu, sum } from "../../src/ops/index.js";
import { backward, noGradient, scope, Tensor } from "../../src/tensor/index.js";
import { expectClose, rounded, signed, uniform } from "../numbers.js";
import { channelStatistics } from "./reference.js";

const shape = [3, 4, 5, 7];
const size = 420;
const data = { x: signed(1, size), weight: uniform(2, 3), bias: signed(3, 3), residual: signed(4, size) };

type Follow = (y: Tensor, residual: Tensor) => Tensor;

/** Output, gradients and running statistics of `follow` behind a batchNorm that is, or is not, left to join it. */
function run(follow: Follow, fused: boolean, training = true, dtype: "f32" | "f64" = "f64") {
  return scope(() => {
    const leaf = (values: Float64Array, extents: number[]) =>
      Tensor.from(values, extents, { dtype, requiresGradient: true });
    const leaves = [leaf(data.x, shape), leaf(data.weight, [3]), leaf(data.bias, [3]), leaf(data.residual, shape)];
    const statistics = {
      runningMean: Tensor.from(rounded([0.5, -0.25, 0]), [3], { dtype }),
      runningVariance: Tensor.from([1, 2, 0.5], [3], { dtype }),
    };
    const y = batchNorm(leaves[0], leaves[1], leaves[2], { ...statistics, training });
    if (!fused) y.materialize();
    const output = follow(y, leaves[3]);
    backward(sum(multiply(output, Tensor.from(signed(5, size), shape, { dtype }))));
    return {
      output: output.dataSync(),
      gradients: leaves.map(({ gradient }) => gradient?.dataSync() ?? null),
      mean: statistics.runningMean.dataSync(),
      variance: statistics.runningVariance.dataSync(),
    };
  });
}

const follows: [string, Follow][] = [
  ["nothing behind it", (y) => y],
  ["relu", (y) => relu(y)],
  ["a residual sum", (y, r) => add(y, r)],
  ["a residual sum, the residual first", (y, r) => add(r, y)],
  ["a residual sum and relu", (y, r) => relu(add(y, r))],
  ["a sum with itself", (y) => add(y, y)],
  ["two sums and relu", (y, r) => relu(add(add(y, r), r))],
  ["relu and a plain reader", (y) => add(relu(y), multiply(y, y))],
  ["two relus", (y) => multiply(relu(y), relu(y))],
  [
    "a residual sum that is read twice",
    (y, r) => {
      const sums = add(y, r);
      return multiply(relu(sums), sums);
    },
  ],
];

describe.each([true, false])("batchNorm, training %s", (training) => {
  it.each(follows)("joined with %s equals the same ops one by one", (_, follow) => {
    const [fused, apart] = [run(follow, true, training), run(follow, false, training)];
    expectClose(fused.output, apart.output, { relative: 1e-13 }, "output");
    for (const [i, gradient] of apart.gradients.entries()) {
      if (gradient === null) expect(fused.gradients[i]).toBe(null);
      else
        expectClose(
          fused.gradients[i] as Float64Array,
          gradient,
          { relative: 1e-12, absolute: 1e-13 },
          `gradient ${i}`,
        );
    }
  });

  it.each(follows)("joined with %s in f32 is close to f64", (_, follow) => {
    const [single, double] = [run(follow, true, training, "f32"), run(follow, true, training)];
    expectClose(single.output, double.output, { relative: 2e-6 }, "output");
    for (const [i, gradient] of double.gradients.entries())
      if (gradient) expectClose(single.gradients[i] as Float32Array, gradient, { relative: 1e-5 }, `gradient ${i}`);
  });
});

describe("running statistics", () => {
  const { mean, variance } = channelStatistics(data.x, 3);
  // Momentum 0.1; the variance is unbiased: 140 numbers per channel.
  const expectedMean = [0.5, -0.25, 0].map((old, c) => 0.9 * old + 0.1 * mean[c]);
  const expectedVariance = [1, 2, 0.5].map((old, c) => 0.9 * old + (0.1 * variance[c] * 140) / 139);

  it.each(follows)("move once per batchNorm, joined with %s", (_, follow) => {
    const result = run(follow, true);
    expectClose(result.mean, expectedMean, { relative: 1e-14 });
    expectClose(result.variance, expectedVariance, { relative: 1e-14 });
  });

  it("stay as they are in evaluation", () => {
    const result = run((y) => relu(y), true, false);
    expect([...result.mean]).toEqual([0.5, -0.25, 0]);
    expect([...result.variance]).toEqual([1, 2, 0.5]);
  });

  it("stay as they are when nobody reads the result", () => {
    scope(() => {
      const runningMean = Tensor.zeros([2]);
      const runningVariance = Tensor.full([2], 1);
      const options = { runningMean, runningVariance, training: true };
      batchNorm(Tensor.full([2, 1, 1, 3], 5), Tensor.full([2], 1), Tensor.zeros([2]), options);
      expect([...runningMean.dataSync(), ...runningVariance.dataSync()]).toEqual([0, 0, 1, 1]);
    });
  });
});

describe("batchNorm", () => {
  const make = (trained: boolean) => {
    const statistics = { runningMean: Tensor.zeros([2]), runningVariance: Tensor.zeros([2]), training: true };
    const x = Tensor.from(signed(1, 24), [2, 2, 2, 3], { requiresGradient: trained });
    return { x, y: batchNorm(x, Tensor.full([2], 2), Tensor.zeros([2]), statistics) };
  };

  it("is part of the graph although somebody read it under noGradient", () => {
    scope(() => {
      const { x, y } = make(true);
      noGradient(() => y.dataSync());
      backward(sum(multiply(y, y)));
      expect(x.gradient).not.toBe(null);
    });
  });

  it("made under noGradient is no part of the graph, whenever it is read", () => {
    scope(() => {
      const { y } = noGradient(() => make(true));
      expect(relu(y).node).toBe(null);
      y.dataSync();
      expect(y.node).toBe(null);
      expect(y.requiresGradient).toBe(false);
    });
  });

  it("of a channel that is 0 everywhere is exactly its bias, and its gradient is finite", () => {
    scope(() => {
      const x = Tensor.zeros([2, 2, 2, 3], { requiresGradient: true });
      const statistics = { runningMean: Tensor.zeros([2]), runningVariance: Tensor.zeros([2]), training: true };
      const y = batchNorm(x, Tensor.full([2], 2), Tensor.from([0.25, -1], [2]), statistics);
      expect([...y.dataSync()]).toEqual([...new Array(12).fill(0.25), ...new Array(12).fill(-1)]);
      backward(sum(multiply(y, Tensor.from(signed(1, 24), y.shape))));
      expect((x.gradient as Tensor).dataSync().every(Number.isFinite)).toBe(true);
    });
  });

  it("of a constant channel is close to its bias", () => {
    scope(() => {
      const statistics = { runningMean: Tensor.zeros([1]), runningVariance: Tensor.zeros([1]), training: true };
      const y = batchNorm(Tensor.full([1, 5, 5, 7], 0.7), Tensor.full([1], 1), Tensor.full([1], 0.25), statistics);
      expectClose(y.dataSync(), new Array(175).fill(0.25), { relative: 1e-4 });
    });
  });

  it("keeps its digits where the mean is a thousand times the deviation", () => {
    const x = rounded(signed(6, 20000).map((v) => 1000 + v));
    scope(() => {
      const statistics = { runningMean: Tensor.zeros([1]), runningVariance: Tensor.zeros([1]), training: true };
      const y = batchNorm(Tensor.from(x, [1, 100, 100, 2]), Tensor.full([1], 1), Tensor.zeros([1]), statistics);
      const { mean, variance } = channelStatistics(x, 1);
      const expected = x.map((v) => (v - mean[0]) / Math.sqrt(variance[0] + 1e-5));
      expectClose(y.dataSync(), expected, { relative: 2e-4 });
    });
  });

  it("refuses parameters of another number of channels", () => {
    const statistics = { runningMean: Tensor.zeros([2]), runningVariance: Tensor.zeros([3]), training: true };
    expect(() => batchNorm(Tensor.zeros([3, 1, 1, 1]), Tensor.zeros([3]), Tensor.zeros([3]), statistics)).toThrow(
      "batchNorm: expected 3 numbers per parameter for 3 channels, got 2",
    );
  });
});
