import { createHash } from "node:crypto";
import { afterEach, expect, it } from "vitest";
import { add, batchNorm, conv2d, multiply, relu, sum } from "../../src/ops/index.js";
import { backward, SparseTensor, scope, Tensor, Topology, threads } from "../../src/tensor/index.js";
import { expectClose, signed } from "../numbers.js";

// 16 MB of input and 72 connections for each plane of it: enough that tasks compute several channels band by band.
const channels = 8;
const side = 64;
const weight = new Topology(
  [channels, channels, 3, 3],
  Int32Array.from({ length: 9 * channels ** 2 }, (_, i) => i),
);
const values = (seed: number) => Tensor.from(signed(seed, weight.nnz), [weight.nnz], { requiresGradient: true });

const before = threads();
afterEach(() => {
  threads(before);
});

/** y and dx `[channel and pixel][image]`, dvalues, of one convolution over images `from` to `from + count` of 128. */
function convolve(from: number, count: number) {
  return scope(() => {
    const pixels = channels * side * side;
    const part = (all: Float32Array) =>
      Float32Array.from({ length: pixels * count }, (_, i) => all[Math.floor(i / count) * 128 + from + (i % count)]);
    const shape = [channels, side, side, count];
    const x = Tensor.from(part(images), shape, { requiresGradient: true });
    const leaf = values(2);
    const y = conv2d(x, new SparseTensor(weight, leaf), { padding: 1 });
    backward(sum(multiply(y, Tensor.from(part(factors), shape))));
    const [dx, dvalues] = [x, leaf].map(({ gradient }) => (gradient as Tensor).dataSync() as Float32Array);
    for (const { gradient } of [x, leaf]) gradient?.dispose();
    return { y: y.dataSync() as Float32Array, dx, dvalues };
  });
}
const images = Float32Array.from(signed(1, channels * side * side * 128));
const factors = Float32Array.from(signed(3, images.length));

it("a convolution of 128 images in bands gives what it gives of 16 at a time", () => {
  const whole = convolve(0, 128);
  const dvalues = new Float64Array(weight.nnz);
  for (let from = 0; from < 128; from += 16) {
    const part = convolve(from, 16);
    for (const name of ["y", "dx"] as const) {
      const expected = part[name].map((_, i) => whole[name][Math.floor(i / 16) * 128 + from + (i % 16)]);
      expect(Buffer.compare(Buffer.from(part[name].buffer), Buffer.from(expected.buffer))).toBe(0);
    }
    for (const [i, value] of part.dvalues.entries()) dvalues[i] += value;
  }
  expectClose(whole.dvalues, dvalues, { relative: 1e-4, absolute: 1e-2 });
});

it("three of them with BatchNorm give the same bytes with 1, 2, 3 and 4 threads", () => {
  const hashes = [1, 2, 3, 4].map((count) => {
    threads(count);
    return scope(() => {
      const parameter = (seed: number) => Tensor.from(signed(seed, channels), [channels], { requiresGradient: true });
      const x = Tensor.from(images, [channels, side, side, 128], { requiresGradient: true });
      const leaves = [4, 5, 6].map(values);
      const norms = [7, 8, 9].map((seed) => [parameter(seed), parameter(seed + 10)]);
      const layer = (input: Tensor, i: number) =>
        batchNorm(conv2d(input, new SparseTensor(weight, leaves[i]), { padding: 1 }), norms[i][0], norms[i][1], {
          runningMean: Tensor.zeros([channels]),
          runningVariance: Tensor.full([channels], 1),
          training: true,
        });
      const block = relu(add(layer(relu(layer(x, 0)), 1), x));
      backward(sum(multiply(layer(block, 2), x)));
      const hash = createHash("sha256");
      for (const leaf of [x, ...leaves, ...norms.flat()]) {
        hash.update((leaf.gradient as Tensor).dataSync());
        leaf.gradient?.dispose();
      }
      return hash.digest("hex");
    });
  });
  expect(new Set(hashes).size).toBe(1);
});

it.each([80, 77])("a block of %i images, larger than caches, gives what it gives step by step", (count) => {
  const few = new Topology(
    [channels, channels, 3, 3],
    Int32Array.from({ length: 24 }, (_, i) => 24 * i + (i % 9)),
  );
  const shape = [channels, side, side, count];
  const [apart, together] = [false, true].map((fused) =>
    scope(() => {
      const x = Tensor.from(signed(1, channels * side * side * count), shape);
      const [weight, bias] = [signed(5, channels), signed(6, channels)].map((v) => Tensor.from(v, [channels]));
      const convolve = (input: Tensor, seed: number) => {
        const raw = conv2d(input, new SparseTensor(few, Tensor.from(signed(seed, few.nnz), [few.nnz])), { padding: 1 });
        if (!fused) raw.materialize();
        return raw;
      };
      const norm = (raw: Tensor) => {
        const [runningMean, runningVariance] = [Tensor.zeros([channels]), Tensor.full([channels], 1)];
        return batchNorm(raw, weight, bias, { runningMean, runningVariance, training: true });
      };
      const first = convolve(x, 2);
      const inner = relu(norm(first));
      if (!fused) inner.materialize();
      const second = convolve(inner, 3);
      const block = relu(add(norm(second), x));
      return [first, second, block].map((tensor) => tensor.dataSync() as Float32Array);
    }),
  );
  expect(Buffer.compare(Buffer.from(together[0].buffer), Buffer.from(apart[0].buffer))).toBe(0);
  for (const i of [1, 2]) expectClose(together[i], apart[i], { relative: 1e-4, absolute: 1e-5 });
});
