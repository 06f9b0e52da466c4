import { expected } from "../errors.js";
import type { ConvShape } from "../native.js";
import { arithmetic, defineOp, Tensor } from "../tensor/index.js";
import { given, like, notEmpty } from "./elementwise.js";
import { batchNormGradients } from "./normalize.js";

/** The attribute: the means, where they are known already. */
const averagePoolOp = defineOp<[Tensor], Tensor | null, null>("globalAveragePool", {
  compact: true,
  forward([x], means) {
    if (means) return { output: means, saved: null };
    const [c, , , n] = x.shape;
    const output = emptyMeans(x);
    x.kernels.average_pool_forward(x.buffer, ...given(x.channels), c, n, output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x], gradient, into, claim }) {
    const [c, , , n] = x.shape;
    const { tensor, accumulate } = into(0);
    const previous = accumulate && !x.channels ? claim(0, "batchNorm") : null;
    if (previous) {
      const { norm, finish } = batchNormGradients(previous as Parameters<typeof batchNormGradients>[0], gradient);
      x.kernels.batch_norm_backward(c, norm);
      finish();
      return;
    }
    const [kind] = given(x.channels);
    // biome-ignore format: the kernel's argument order
    x.kernels.average_pool_backward(gradient.buffer, kind, c, n, tensor.buffer, ...given(tensor.channels), accumulate);
  },
});

/**
 * Mean over the pixels of each channel and image: `[c, h, w, n]` → `[c, n]`, f32 also of bf16. Of a `batchNorm` that has not
 * run yet it is taken in the same pass.
 */
export function globalAveragePool(x: Tensor): Tensor {
  if (x.shape.length !== 4) throw expected("globalAveragePool", "x [c, h, w, n]", `[${x.shape.join(", ")}]`);
  notEmpty("globalAveragePool", x);
  const norm = x.deferred?.norm;
  const means = norm ? emptyMeans(x) : null;
  if (norm && means) x.materialize(() => norm.computeWith(means));
  return averagePoolOp([x], means);
}

const emptyMeans = ({ shape: [c, , , n], dtype, device }: Tensor) =>
  Tensor.empty([c, n], { dtype: arithmetic(dtype), device });

const maxPoolOp = defineOp<[Tensor], ConvShape, Tensor>("maxPool", {
  forward([x], shape) {
    const [c, h, w, n, , kernel, , stride, padding] = shape;
    const extent = (size: number) => Math.floor((size + 2 * padding - kernel) / stride) + 1;
    const output = like(x, [c, extent(h), extent(w), n]);
    const saved = Tensor.empty(output.shape, { dtype: "i32", device: x.device });
    x.kernels.max_pool_forward(x.buffer, shape, output.buffer, saved.buffer);
    return { output, saved };
  },
  backward({ inputs: [x], attributes: shape, saved, gradient, into }) {
    const { tensor, accumulate } = into(0);
    x.kernels.max_pool_backward(gradient.buffer, saved.buffer, shape, tensor.buffer, accumulate);
  },
});

/** Largest value in each `kernel` × `kernel` window of `x [c, h, w, n]`; the first of equal values wins. */
export function maxPool(x: Tensor, options: { kernel: number; stride?: number; padding?: number }): Tensor {
  const { kernel, stride = kernel, padding = 0 } = options;
  const [c, h, w, n] = x.shape;
  if (x.shape.length !== 4) throw expected("maxPool", "x [c, h, w, n]", `[${x.shape.join(", ")}]`);
  notEmpty("maxPool", x);
  if (![kernel, stride].every((extent) => Number.isInteger(extent) && extent >= 1))
    throw expected("maxPool", "a kernel and a stride of at least 1", `${kernel} and ${stride}`);
  if (!Number.isInteger(padding) || padding < 0 || padding * 2 > kernel)
    throw expected("maxPool", "a padding from 0 to half the kernel", padding);
  if (Math.min(h, w) + 2 * padding < kernel)
    throw expected("maxPool", `an image of at least ${kernel} × ${kernel} after padding`, `${h} × ${w}`);
  return maxPoolOp([x], [c, h, w, n, c, kernel, kernel, stride, padding]);
}
