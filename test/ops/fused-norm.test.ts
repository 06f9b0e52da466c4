import fc from "fast-check";
import { expect, it } from "vitest";
import { add, batchNorm, conv2d, mean, multiply, relu, scale, sum } from "../../src/ops/index.js";
import { backward, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { hashAt, signed } from "../numbers.js";

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
    const leaf = (t: number, shape: number[], around = 0) =>
      Tensor.from(
        signed(seed + t, sizeOf(shape)).map((v) => v + around),
        shape,
        { ...options, requiresGradient: true },
      );
    const weightShape = [channels, channels, 3, 3];
    const sparse = (t: number) => {
      const order = Array.from({ length: sizeOf(weightShape) }, (_, i) => i);
      order.sort((a, b) => hashAt(seed + t, a) - hashAt(seed + t, b));
      const topology = new Topology(weightShape, Int32Array.from(order.slice(0, nnz)).sort());
      return new SparseTensor(topology, leaf(t, [nnz]));
    };
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
