import { expected } from "../errors.js";
import type { Buffer, ConvShape } from "../native.js";
import {
  type DenseGradient,
  defineOp,
  emptyChannels,
  type Normalization,
  SparseTensor,
  type Tensor,
  type Topology,
} from "../tensor/index.js";
import { given, like, notEmpty, reshape } from "./elementwise.js";

export interface ConvOptions {
  /** 1 by default. */
  stride?: number;
  /** Zeros around the image; 0 by default. */
  padding?: number;
  /**
   * Which outputs anything depends on, `[o]` (i32 0 or 1), for a sparse weight: only those are computed, and the result
   * is compact. Null or left out: all.
   */
  needed?: Tensor | null;
}

const outputShape = ([, h, w, n, o, kh, kw, stride, padding]: ConvShape): number[] => [
  o,
  Math.floor((h + 2 * padding - kh) / stride) + 1,
  Math.floor((w + 2 * padding - kw) / stride) + 1,
  n,
];

const denseConv = defineOp<[Tensor, Tensor], ConvShape, null>("denseConv", {
  forward([x, weight], shape) {
    const output = like(x, outputShape(shape));
    x.kernels.dense_conv_forward(x.buffer, weight.buffer, shape, output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x, weight], attributes: shape, gradient, needs, into }) {
    if (needs(1)) {
      const { tensor, accumulate } = into(1);
      x.kernels.dense_conv_backward_weight(x.buffer, gradient.buffer, shape, null, tensor.buffer, accumulate);
    }
    if (needs(0)) {
      const { tensor, accumulate } = into(0);
      x.kernels.dense_conv_backward_data(gradient.buffer, weight.buffer, shape, tensor.buffer, accumulate);
    }
  },
});

/** Attributes of a sparse convolution on the tape. */
export interface SparseConv {
  readonly shape: ConvShape;
  readonly topology: Topology;
  readonly denseGradient: DenseGradient;
  readonly factor: Tensor | null;
  readonly needed: Tensor | null;
  /** Set when the input is yet to be normalised and rectified: inputs 2 and 3 are then BatchNorm's weight and bias. */
  readonly normalization: Normalization | null;
  /** What was passed to `conv2d` as its options: the layer, when a module did. */
  readonly site: object | null;
}

const sparseConv = defineOp<[Tensor, Tensor, Tensor | null, Tensor | null], SparseConv, null>("sparseConv", {
  compact: true,
  forward([x, values], { shape, topology, needed, normalization }) {
    const output = like(x, outputShape(shape));
    if (needed) output.channels = emptyChannels(output);
    const { rowStart, rowEntry } = topology.orders;
    // biome-ignore format: the kernel's argument order
    x.kernels.sparse_conv_forward(x.buffer, ...given(x.channels), ...normArrays(normalization), values.buffer, rowStart.buffer, rowEntry.buffer, shape,
      needed?.buffer ?? null, output.buffer, given(output.channels)[0]);
    return { output, saved: null };
  },
  backward({ inputs: [x, values], attributes, ...context }) {
    const { shape, topology, denseGradient, factor, normalization } = attributes;
    const { gradient, output, needs, into, give } = context;
    if (denseGradient.wanted) {
      if (output.channels || x.channels || normalization)
        throw expected("growth gradient", "complete activations", "compact ones", undefined, "EASTING_INTERNAL");
      const { tensor, accumulate } = denseGradient.into(topology.shape, x);
      const by = factor?.buffer ?? null;
      x.kernels.dense_conv_backward_weight(x.buffer, gradient.buffer, shape, by, tensor.buffer, accumulate);
    }
    const dvalues = needs(1) ? into(1) : null;
    const { columnStart, columnEntry, columnValue } = topology.orders;
    // biome-ignore format: the kernel's argument order
    const connections = [gradient.buffer, given(output.channels)[0], values.buffer, columnStart.buffer, columnEntry.buffer, columnValue.buffer, shape] as const;
    const result = [dvalues?.tensor.buffer ?? null, dvalues?.accumulate ?? false] as const;
    if (normalization) {
      const dx = like(x);
      const [dweight, dbias] = [2, 3].map((input) => (needs(input) ? into(input) : null));
      // biome-ignore format: the kernel's argument order
      x.kernels.sparse_conv_backward_normalized(x.buffer, given(x.channels)[0], ...normArrays(normalization), normalization.training, ...connections,
        dx.buffer, dweight?.tensor.buffer ?? null, dbias?.tensor.buffer ?? null, dweight?.accumulate ?? dbias?.accumulate ?? false, ...result);
      if (needs(0)) give(0, dx);
      return;
    }
    const dx = needs(0) ? into(0) : null;
    // biome-ignore format: the kernel's argument order
    x.kernels.sparse_conv_backward(x.buffer, ...given(x.channels), ...connections,
      dx?.tensor.buffer ?? null, ...given(dx?.tensor.channels), dx?.accumulate ?? false, ...result);
  },
});

/** The four arrays by which kernels normalise as they load. */
function normArrays(normalization: Normalization | null): [Buffer, Buffer, Buffer, Buffer] {
  if (!normalization) return [null, null, null, null];
  const { mean, inverseDeviation } = normalization.statistics();
  return [normalization.weight.buffer, normalization.bias.buffer, mean.buffer, inverseDeviation.buffer];
}

/** Up to so many connections per output it costs less to normalise at each load than to store the normalised input. */
const LAZY_CONNECTIONS = 8;

/** The normalisation that a sparse convolution of `x` may take over. */
function absorbed(x: Tensor, { topology, denseGradient }: SparseTensor): Normalization | null {
  const { deferred } = x;
  const lazy = topology.nnz <= LAZY_CONNECTIONS * topology.shape[0] && !denseGradient.wanted;
  return deferred?.relu && !deferred.residual && lazy ? deferred.source : null;
}

const attributes = (
  shape: ConvShape,
  { topology, denseGradient, factor }: SparseTensor,
  options: ConvOptions | null = null,
  normalization: Normalization | null = null,
): SparseConv => ({
  normalization,
  shape,
  needed: options?.needed ?? null,
  site: options,
  topology,
  denseGradient,
  factor,
});

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
  const normalization = absorbed(x, weight);
  if (!normalization) return sparseConv([x, weight.values, null, null], attributes(shape, weight, options));
  const { x: source, weight: scale, bias } = normalization;
  return sparseConv([source, weight.values, scale, bias], attributes(shape, weight, options, normalization));
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
      ? sparseConv([pixels, weight.values, null, null], attributes(shape, weight))
      : denseConv([pixels, reshape(weight, [o, i, 1, 1])], shape);
  const flat = reshape(y, [o, n]);
  return bias ? addBias([flat, bias], null) : flat;
}
