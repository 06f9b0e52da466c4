import { expected } from "../errors.js";
import type { ConvShape } from "../native.js";
import { defineOp, emptyChannels, type Normalization, recordedAsNow, SparseTensor, Tensor } from "../tensor/index.js";
import { completeConv } from "./complete-conv.js";
import { type ConvAlgorithm, chosenAlgorithm } from "./conv-algorithm.js";
import { given, like, notEmpty, reshape } from "./elementwise.js";
import { batchNormGradients } from "./normalize.js";
import { addDenseGradient, normArrays, outputShape, type SparseConv } from "./sparse-conv.js";

export interface ConvOptions {
  /** 1 by default. */
  stride?: number;
  /** Zeros around the image; 0 by default. */
  padding?: number;
  /**
   * Which outputs anything depends on, `[o]` (i32 0 or 1), for a sparse weight: only those are computed, and the result
   * is compact. 2 asks for the plane even of an output without connections. Null or left out: all planes.
   */
  needed?: Tensor | null;
  /** How a sparse weight's convolution is computed; `fused` by default. Only that leaves out what `needed` does not ask for. */
  algorithm?: ConvAlgorithm;
}

const denseConv = defineOp<[Tensor, Tensor], ConvShape, null>("denseConv", {
  forward([x, weight], shape) {
    const output = like(x, outputShape(shape));
    x.kernels.dense_conv_forward(x.buffer, weight.buffer, shape, output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x, weight], attributes: shape, gradient, needs, into }) {
    if (needs(1)) {
      const { tensor, accumulate } = into(1);
      // biome-ignore format: the kernel's argument order
      x.kernels.dense_conv_backward_weight(x.buffer, null, null, ...normArrays(null), gradient.buffer, null, null, shape, null, tensor.buffer, accumulate);
    }
    if (needs(0)) {
      const { tensor, accumulate } = into(0);
      x.kernels.dense_conv_backward_data(gradient.buffer, weight.buffer, shape, tensor.buffer, accumulate);
    }
  },
});

const sparseConv = defineOp<[Tensor, Tensor, Tensor | null, Tensor | null], SparseConv, null>("sparseConv", {
  compact: true,
  forward([x, values], { shape, topology, denseGradient, needed, normalization, next }) {
    if (denseGradient.wanted) denseGradient.used();
    const output = like(x, outputShape(shape));
    if (needed) output.channels = emptyChannels(output);
    const { rowStart, rowEntry } = topology.orders;
    // biome-ignore format: the kernel's argument order
    x.kernels.sparse_conv_forward(x.buffer, ...given(x.channels), ...normArrays(normalization), values.buffer, rowStart.buffer, rowEntry.buffer, shape,
      needed?.buffer ?? null, output.buffer, given(output.channels)[0], next?.(output) ?? null);
    return { output, saved: null };
  },
  backward({ inputs: [x, values], attributes, ...context }) {
    const { shape, topology, normalization } = attributes;
    const { gradient, output, needs, into, over, give, claim } = context;
    addDenseGradient(x, values, attributes, gradient);
    const dvalues = needs(1) ? into(1) : null;
    const { columnStart, columnEntry, columnValue } = topology.orders;
    // biome-ignore format: the kernel's argument order
    const connections = [gradient.buffer, given(output.channels)[0], values.buffer, columnStart.buffer, columnEntry.buffer, columnValue.buffer, shape] as const;
    const result = [dvalues?.tensor.buffer ?? null, dvalues?.accumulate ?? false] as const;
    if (normalization) {
      const dx = over(0);
      const [dweight, dbias] = [2, 3].map((input) => (needs(input) ? into(input) : null));
      // biome-ignore format: the kernel's argument order
      x.kernels.sparse_conv_backward_normalized(x.buffer, given(x.channels)[0], ...normArrays(normalization), normalization.training, ...connections,
        dx.buffer, dweight?.tensor.buffer ?? null, dbias?.tensor.buffer ?? null, dweight?.accumulate ?? dbias?.accumulate ?? false, ...result);
      if (needs(0)) give(0, dx);
      return;
    }
    const dx = needs(0) ? into(0) : null;
    const previous = claim(0, "batchNorm");
    const norm = previous && batchNormGradients(previous as Parameters<typeof batchNormGradients>[0]);
    // biome-ignore format: the kernel's argument order
    x.kernels.sparse_conv_backward(x.buffer, ...given(x.channels), ...connections,
      dx?.tensor.buffer ?? null, ...given(dx?.tensor.channels), dx?.accumulate ?? false, ...result, norm?.norm ?? null);
    norm?.finish();
  },
});

/** Up to so many connections per output it costs less to normalise at each load than to store the normalised input. */
const LAZY_CONNECTIONS = 8;

/** The normalisation that a sparse convolution of `x` may take over. */
function absorbed(x: Tensor, { topology }: SparseTensor): Normalization | null {
  const norm = x.deferred?.norm;
  const lazy = topology.nnz <= LAZY_CONNECTIONS * topology.shape[0];
  return norm?.relu && !norm.residual && lazy ? norm.source : null;
}

/** The convolution, put off until it is read so that a BatchNorm behind it runs in the same pass. */
function deferSparseConv(x: Tensor, weight: SparseTensor, shape: ConvShape, options: ConvOptions | null): Tensor {
  const normalization = options && absorbed(x, weight);
  const { values, topology, denseGradient, factor } = weight;
  const convolve = recordedAsNow((next: SparseConv["next"]) => {
    normalization?.statistics(); // may run the convolution before this one
    const site = options;
    return sparseConv(
      normalization ? [normalization.x, values, normalization.weight, normalization.bias] : [x, values, null, null],
      { shape, topology, denseGradient, factor, needed: options?.needed ?? null, normalization, next, site },
    );
  });
  return Tensor.defer(x, { compute: () => convolve(null), convolve }, outputShape(shape));
}

/**
 * Convolution (cross-correlation, as in every deep-learning library) of `x [c, h, w, n]` with `weight [o, c, kh, kw]`,
 * giving `[o, h', w', n]` with h' = ⌊(h + 2 padding − kh) / stride⌋ + 1. A `SparseTensor` weight costs what its
 * nonzeros cost, forward and backward.
 */
export function conv2d(x: Tensor, weight: Tensor | SparseTensor, options: ConvOptions = {}): Tensor {
  const { stride = 1, padding = 0 } = options;
  const [c, h, w, n] = x.shape;
  const [o, i, kh, kw] = weight.shape;
  if (x.shape.length !== 4 || weight.shape.length !== 4 || c !== i)
    throw expected(
      "conv2d",
      `x [c, h, w, n] and weight [o, c, kh, kw] with the same c`,
      `[${x.shape.join(", ")}] and [${weight.shape.join(", ")}]`,
    );
  notEmpty("conv2d", x, weight);
  if (!Number.isInteger(stride) || stride < 1) throw expected("conv2d", "a stride of at least 1", stride);
  if (!Number.isInteger(padding) || padding < 0) throw expected("conv2d", "a padding of at least 0", padding);
  const shape: ConvShape = [c, h, w, n, o, kh, kw, stride, padding];
  const output = outputShape(shape);
  if (output[1] < 1 || output[2] < 1)
    throw expected("conv2d", `an image of at least ${kh} × ${kw} after padding`, `${h} × ${w}`);
  if (!(weight instanceof SparseTensor)) return denseConv([x, weight], shape);
  const { values, topology, denseGradient, factor } = weight;
  const algorithm = chosenAlgorithm(options.algorithm ?? "fused", topology.density, x.device);
  if (algorithm === "fused") return deferSparseConv(x, weight, shape, options);
  const needed = options.needed ?? null;
  const attributes = { shape, topology, denseGradient, factor, needed, normalization: null, next: null, site: options };
  return completeConv[algorithm]([x, values], attributes);
}

const addBias = defineOp<[Tensor, Tensor], null, null>("addBias", {
  forward([x, bias]) {
    const output = like(x);
    x.kernels.add_bias(x.buffer, bias.buffer, x.shape[0], output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x], gradient, needs, into, give }) {
    if (needs(1)) {
      const { tensor, accumulate } = into(1);
      x.kernels.channel_sum(gradient.buffer, x.shape[0], tensor.buffer, accumulate);
    }
    if (needs(0)) give(0, gradient);
  },
});

/**
 * weight · x + bias for `x [i, n]`, `weight [o, i]` (dense or sparse), `bias [o]` or null, giving `[o, n]`: a 1 × 1
 * convolution of single pixels.
 */
export function linear(x: Tensor, weight: Tensor | SparseTensor, bias: Tensor | null = null): Tensor {
  const [i, n] = x.shape;
  const [o, inputs] = weight.shape;
  if (x.shape.length !== 2 || weight.shape.length !== 2 || i !== inputs)
    throw expected(
      "linear",
      "x [i, n] and weight [o, i] with the same i",
      `[${x.shape.join(", ")}] and [${weight.shape.join(", ")}]`,
    );
  notEmpty("linear", x, weight);
  if (bias && bias.size !== o) throw expected("linear", `a bias of ${o}`, bias.size);
  const pixels = reshape(x, [i, 1, 1, n]);
  const shape: ConvShape = [i, 1, 1, n, o, 1, 1, 1, 0];
  const y =
    weight instanceof SparseTensor
      ? deferSparseConv(pixels, weight, shape, null)
      : denseConv([pixels, reshape(weight, [o, i, 1, 1])], shape);
  const flat = reshape(y, [o, n]);
  return bias ? addBias([flat, bias], null) : flat;
}
