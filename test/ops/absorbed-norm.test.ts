import fc from "fast-check";
import { expect, it } from "vitest";
import { batchNorm, conv2d, mean, multiply, relu } from "../../src/ops/index.js";
import { backward, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { hashAt, signed } from "../numbers.js";

const options = { dtype: "f64" } as const;

interface Shape {
  readonly channels: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly batch: number;
}

/** Loss, gradients and running statistics of mean((conv(relu(batchNorm(x))))²), the middle stored or not. */
function run({ channels, outputs, kernel, stride, batch }: Shape, seed: number, training: boolean, stored: boolean) {
  return scope(() => {
    const image = [channels, 6, 5, batch];
    const leaf = (t: number, shape: number[], around = 0) =>
      Tensor.from(
        signed(seed + t, sizeOf(shape)).map((v) => v + around),
        shape,
        { ...options, requiresGradient: true },
      );
    const weightShape = [outputs, channels, kernel, kernel];
    const order = Array.from({ length: sizeOf(weightShape) }, (_, i) => i);
    order.sort((a, b) => hashAt(seed, a) - hashAt(seed, b));
    const topology = new Topology(weightShape, Int32Array.from(order.slice(0, 2 * outputs)).sort());
    const [x, weight, bias] = [leaf(1, image), leaf(2, [channels], 1), leaf(3, [channels])];
    const values = leaf(4, [topology.nnz]);
    const running = [signed(5, channels), signed(6, channels).map((v) => v + 1.5)].map((data) =>
      Tensor.from(data, [channels], options),
    );
    const [runningMean, runningVariance] = running;
    const middle = relu(batchNorm(x, weight, bias, { runningMean, runningVariance, training }));
    if (stored) middle.materialize();
    const y = conv2d(middle, new SparseTensor(topology, values), { stride, padding: kernel >> 1 });
    y.materialize();
    const absorbed = y.node?.inputs[0] === x;
    const loss = mean(multiply(y, y));
    backward(loss);
    const gradients = [x, weight, bias, values].map((tensor) => [...(tensor.gradient as Tensor).dataSync()]);
    return { absorbed, numbers: [[loss.item()], ...gradients, ...running.map((tensor) => [...tensor.dataSync()])] };
  });
}

it("a sparse convolution that normalises as it loads computes what it would from the stored activation", () => {
  fc.assert(
    fc.property(
      fc.record({
        channels: fc.integer({ min: 1, max: 7 }),
        outputs: fc.integer({ min: 1, max: 6 }),
        kernel: fc.constantFrom(1, 3, 5),
        stride: fc.integer({ min: 1, max: 2 }),
        batch: fc.integer({ min: 1, max: 19 }),
      }),
      fc.integer({ min: 0, max: 1e6 }),
      fc.boolean(),
      (shape, seed, training) => {
        const [stored, lazy] = [true, false].map((keep) => run(shape, seed, training, keep));
        expect([stored.absorbed, lazy.absorbed]).toEqual([false, true]);
        for (const [k, numbers] of stored.numbers.entries())
          for (const [i, value] of numbers.entries()) expect(lazy.numbers[k][i]).toBeCloseTo(value, 10);
      },
    ),
    { numRuns: 80 },
  );
});
