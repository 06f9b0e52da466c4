import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ConvShape, native } from "../../src/native.js";
import { type ConvAlgorithm, conv2d, multiply, sum } from "../../src/ops/index.js";
import { backward, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { expectClose, rounded, signed } from "../numbers.js";
import { randomIndices } from "../ops.cases.js";

const hasCuda = native.devices().cudaReason === "";

/** Convolutions from one pixel up, with kernels larger than the image, strides larger than the kernel, odd batches. */
const shapes: fc.Arbitrary<ConvShape> = fc
  .record({
    kernel: fc.constantFrom(1, 3, 5),
    c: fc.integer({ min: 1, max: 6 }),
    o: fc.integer({ min: 1, max: 6 }),
    h: fc.integer({ min: 1, max: 7 }),
    w: fc.integer({ min: 1, max: 7 }),
    n: fc.constantFrom(1, 3, 4, 8, 9),
    stride: fc.constantFrom(1, 2, 3),
    padding: fc.constantFrom(0, 1, 2),
  })
  .map(({ kernel, c, o, h, w, n, stride, padding }): ConvShape => [c, h, w, n, o, kernel, kernel, stride, padding])
  .filter((shape) => Math.min(shape[1], shape[2]) + 2 * shape[8] >= shape[5]);

interface Result {
  readonly y: ArrayLike<number>;
  readonly dx: ArrayLike<number>;
  readonly dvalues: ArrayLike<number>;
  readonly growth: ArrayLike<number>;
}

/** Output and gradients of Σ r · conv(x, weight), the gradients added to what the same computation left there before. */
function differentiate(
  algorithm: ConvAlgorithm,
  shape: ConvShape,
  topology: Topology,
  dtype: "f32" | "f64" | "bf16",
): Result {
  const [c, h, w, n, , , , stride, padding] = shape;
  const xShape = [c, h, w, n];
  const parameters = { dtype: dtype === "f64" ? "f64" : "f32", device: "cuda", requiresGradient: true } as const;
  return scope(() => {
    const x = Tensor.from(rounded(signed(1, sizeOf(xShape))), xShape, { dtype, device: "cuda", requiresGradient: true });
    const values = Tensor.from(rounded(signed(2, topology.nnz)), [topology.nnz], parameters);
    const weight = new SparseTensor(topology, values);
    weight.denseGradient.wanted = true;
    let y = x;
    for (let time = 0; time < 2; time++) {
      y = conv2d(x, weight, { stride, padding, algorithm });
      const r = Tensor.from(rounded(signed(3, y.size)), y.shape, { dtype, device: "cuda" });
      const products = multiply(y, r);
      backward(sum(dtype === "bf16" ? conv2d1x1(products) : products));
    }
    const result = {
      y: y.dataSync(),
      dx: (x.gradient as Tensor).dataSync(),
      dvalues: (values.gradient as Tensor).dataSync(),
      growth: (weight.denseGradient.tensor as Tensor).dataSync(),
    };
    for (const tensor of [x.gradient, values.gradient, x, values]) tensor?.dispose();
    weight.denseGradient.clear();
    return result;
  });
}
