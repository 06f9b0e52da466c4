import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import { type Kernels, native } from "../../src/native.js";
import {
  add,
  batchNorm,
  conv2d,
  dyrelu,
  globalAveragePool,
  linear,
  mean,
  multiply,
  relu,
  scale,
  sum,
} from "../../src/ops/index.js";
import { backward, defaultDevice, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { hashAt, signed } from "../numbers.js";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Leaves in f64 of noise around a number. */
const leavesOf =
  (seed: number) =>
  (t: number, shape: number[], around = 0) =>
    Tensor.from(
      signed(seed + t, sizeOf(shape)).map((v) => v + around),
      shape,
      { dtype: "f64", requiresGradient: true },
    );

/** `nnz` places of a 3 × 3 convolution. */
function topologyOf(channels: number, nnz: number, seed: number): Topology {
  const shape = [channels, channels, 3, 3];
  const order = Array.from({ length: sizeOf(shape) }, (_, i) => i);
  order.sort((a, b) => hashAt(seed, a) - hashAt(seed, b));
  return new Topology(shape, Int32Array.from(order.slice(0, nnz)).sort());
}

interface Case {
  readonly channels: number;
  readonly nnz: number;
  readonly batch: number;
  readonly residual: boolean;
  readonly training: boolean;
}

/** Loss, gradients and running statistics of conv → BatchNorm (+ residual) → ReLU → conv, in one pass each or step by step. */
function run({ channels, nnz, batch, residual, training }: Case, seed: number, fused: boolean) {
  return scope(() => {
    const options = { dtype: "f64" } as const;
    const leaf = leavesOf(seed);
    const sparse = (t: number) => new SparseTensor(topologyOf(channels, nnz, seed + t), leaf(t, [nnz]));
    const [first, second] = [sparse(1), sparse(2)];
    const [image, weight, bias] = [leaf(3, [channels, 5, 4, batch]), leaf(4, [channels], 1), leaf(5, [channels])];
    const running = [signed(6, channels), signed(7, channels).map((v) => v + 1.5)].map((data) =>
      Tensor.from(data, [channels], options),
    );
    const [runningMean, runningVariance] = running;

    const raw = conv2d(image, first, { padding: 1 });
    if (!fused) raw.materialize();
    const normalized = batchNorm(raw, weight, bias, { runningMean, runningVariance, training });
    const block = relu(residual ? add(normalized, image) : normalized);
    block.materialize();
    const y = conv2d(block, second, { padding: 1 });
    // A second reader of the block's output, which adds nothing to the loss, keeps the two backward passes apart.
    const loss = fused ? mean(multiply(y, y)) : add(mean(multiply(y, y)), scale(sum(block), 0));
    backward(loss);
    const leaves = [image, weight, bias, first.values, second.values];
    const gradients = leaves.map((tensor) => [...(tensor.gradient as Tensor).dataSync()]);
    return [[loss.item()], ...gradients, ...running.map((tensor) => [...tensor.dataSync()])];
  });
}

it("BatchNorm inside the convolutions around it computes what it computes on its own", () => {
  fc.assert(
    fc.property(
      fc.record({
        channels: fc.integer({ min: 1, max: 5 }),
        nnz: fc.integer({ min: 1, max: 9 }),
        batch: fc.integer({ min: 1, max: 19 }),
        residual: fc.boolean(),
        training: fc.boolean(),
      }),
      fc.integer({ min: 0, max: 1e6 }),
      (shape, seed) => {
        const [apart, together] = [false, true].map((fused) => run(shape, seed, fused));
        for (const [k, numbers] of apart.entries())
          for (const [i, value] of numbers.entries()) expect(together[k][i]).toBeCloseTo(value, 9);
      },
    ),
    { numRuns: 100 },
  );
});

it("writes gradients over activations that nothing reads any more, with the same numbers", () => {
  const kernels = (native.kernels[defaultDevice] as Record<string, Kernels>).f64;
  /** Of each BatchNorm's backward, whether dx is x. */
  const inPlace: boolean[] = [];
  const { sparse_conv_backward_normalized: inner, batch_norm_backward: outer } = kernels;
  vi.spyOn(kernels, "sparse_conv_backward_normalized").mockImplementation((...list) => {
    inPlace.push(list[0] === list[14]);
    inner(...list);
  });
  vi.spyOn(kernels, "batch_norm_backward").mockImplementation((channels, norm) => {
    inPlace.push(norm?.[0] === norm?.[17]);
    outer(channels, norm);
  });
  const gradients = (release: boolean, channels: number, nnz: number, batch: number, seed: number) =>
    scope(() => {
      const leaf = leavesOf(seed);
      const sparse = (t: number) => new SparseTensor(topologyOf(channels, nnz, seed + t), leaf(t, [nnz]));
      const norm = (x: Tensor, t: number) => {
        const runningMean = Tensor.zeros([channels], { dtype: "f64" });
        return batchNorm(x, leaf(t, [channels], 1), leaf(t + 1, [channels]), {
          runningMean,
          runningVariance: runningMean,
          training: true,
        });
      };
      const [image, first, second] = [leaf(1, [channels, 6, 5, batch]), sparse(2), sparse(3)];
      const inner = relu(norm(conv2d(image, first, { padding: 1 }), 4));
      const block = relu(add(norm(conv2d(inner, second, { padding: 1 }), 6), image));
      backward(mean(multiply(block, block)), { release });
      return [image, first.values, second.values].map((tensor) => [...(tensor.gradient as Tensor).dataSync()]);
    });
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 5 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 19 }),
      fc.integer({ min: 0, max: 1e6 }),
      (channels, nnz, batch, seed) => {
        const apart = gradients(false, channels, nnz, batch, seed);
        expect(gradients(true, channels, nnz, batch, seed)).toEqual(apart);
        expect(inPlace.splice(0)).toEqual([false, false, true, true]);
      },
    ),
    { numRuns: 100 },
  );
});

it.each([
  ["all numbers are far from zero", (_: number, noise: number) => 1000 + noise],
  ["the first row is far from the others", (row: number, noise: number) => (row === 0 ? 1000 : 0) + noise],
  ["all but the first row are the same", (row: number, noise: number) => (row === 0 ? noise : 0.25)],
])("takes statistics to the last digits while it writes a plane in which %s", (_, numberOf) => {
  const [rows, row] = [64, 3 * 5];
  const numbers = Float32Array.from(signed(3, rows * row), (noise, i) => numberOf(Math.floor(i / row), noise));
  const mean = numbers.reduce((total, v) => total + v, 0) / numbers.length;
  const variance = numbers.reduce((total, v) => total + (v - mean) ** 2, 0) / numbers.length;
  scope(() => {
    const x = Tensor.from(numbers, [1, rows, 3, 5]);
    const one = new SparseTensor(new Topology([1, 1, 1, 1], Int32Array.of(0)), Tensor.full([1], 1));
    const [weight, bias] = [Tensor.full([1], 1), Tensor.zeros([1])];
    const runningMean = Tensor.zeros([1]);
    const runningVariance = Tensor.zeros([1]);
    const y = batchNorm(conv2d(x, one), weight, bias, { runningMean, runningVariance, training: true, momentum: 1 });
    const expected = numbers.map((v) => (v - mean) / Math.sqrt(variance + 1e-5));
    const worst = Math.max(...Array.from(y.dataSync(), (v, i) => Math.abs(v - expected[i])));
    // One unit in the last place of 1000 over the deviation.
    expect(worst).toBeLessThan(2e-4);
    expect(runningMean.item() / mean).toBeCloseTo(1, 6);
    expect((runningVariance.item() * (numbers.length - 1)) / numbers.length / variance).toBeCloseTo(1, 5);
  });
});

it("takes means over pixels in the pass that normalises, and their gradients in its backward", () => {
  const kernels = (native.kernels[defaultDevice] as Record<string, Kernels>).f64;
  const calls = vi.spyOn(kernels, "average_pool_forward");
  const backwardCalls = vi.spyOn(kernels, "average_pool_backward");
  const numbers = (
    fused: boolean,
    channels: number,
    [h, w, batch]: readonly number[],
    residual: boolean,
    training: boolean,
    seed: number,
  ) =>
    scope(() => {
      const leaf = leavesOf(seed);
      const options = { dtype: "f64" } as const;
      const topology = new Topology(
        [channels, channels, 1, 1],
        Int32Array.from({ length: channels }, (_, i) => i),
      );
      const [image, values, coefficients] = [
        leaf(1, [channels, h, w, batch]),
        leaf(2, [channels]),
        leaf(3, [4 * channels, channels]),
      ];
      const [weight, bias] = [leaf(4, [channels], 1), leaf(5, [channels])];
      const [runningMean, runningVariance] = [Tensor.zeros([channels], options), Tensor.full([channels], 2, options)];
      const raw = conv2d(image, new SparseTensor(topology, values));
      const norm = batchNorm(raw, weight, bias, { runningMean, runningVariance, training });
      const x = residual ? add(norm, image) : norm;
      // Read before, and once more, it has been computed when its means are taken, and is not done when theirs are back.
      const also = fused ? null : scale(sum(x), 0);
      const means = globalAveragePool(x);
      const y = dyrelu(x, linear(means, coefficients), { beta: 0.7 });
      const loss = mean(multiply(y, y));
      backward(also ? add(loss, also) : loss);
      const leaves = [image, values, coefficients, weight, bias];
      return [loss, means, y, ...leaves.map(({ gradient }) => gradient as Tensor)].map((t) => [...t.dataSync()]);
    });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40 })),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 0, max: 1e6 }),
      (channels, shape, residual, training, seed) => {
        const apart = numbers(false, channels, shape, residual, training, seed);
        expect([calls, backwardCalls].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
        const together = numbers(true, channels, shape, residual, training, seed);
        expect([calls, backwardCalls].map(({ mock }) => mock.calls.splice(0).length)).toEqual([1, 1]);
        for (const [k, list] of apart.entries())
          for (const [i, value] of list.entries()) expect(together[k][i]).toBeCloseTo(value, 9);
      },
    ),
    {
      numRuns: 100,
      // Less than a vector, and one number more than whole blocks of them.
      examples: [
        [2, [1, 1, 1], true, false, 1],
        [2, [17, 241, 1], true, true, 1],
      ],
    },
  );
});
