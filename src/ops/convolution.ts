import { expected } from "../errors.js";
import type { ConvShape } from "../native.js";
import {
  type DenseGradient,
  defineOp,
  emptyChannels,
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
  /** What was passed to `conv2d` as its options: the layer, when a module did. */
  readonly site: object | null;
}

const sparseConv = defineOp<[Tensor, Tensor], SparseConv, null>("sparseConv", {
  compact: true,
  forward([x, values], { shape, topology, needed }) {
    const output = like(x, outputShape(shape));
    if (needed) output.channels = emptyChannels(output);
    const { rowStart, rowEntry } = topology.orders;
    // biome-ignore format: the kernel's argument order
    x.kernels.sparse_conv_forward(x.buffer, ...given(x.channels), values.buffer, rowStart.buffer, rowEntry.buffer, shape,
      needed?.buffer ?? null, output.buffer, given(output.channels)[0]);
    return { output, saved: null };
  },
  backward({ inputs: [x, values], attributes: { shape, topology, denseGradient, factor }, ...context }) {
    const { gradient, output, needs, into } = context;
    if (denseGradient.wanted) {
      if (output.channels || x.channels)
        throw expected("growth gradient", "complete activations", "compact ones", undefined, "EASTING_INTERNAL");
      const { tensor, accumulate } = denseGradient.into(topology.shape, x);
      const by = factor?.buffer ?? null;
      x.kernels.dense_conv_backward_weight(x.buffer, gradient.buffer, shape, by, tensor.buffer, accumulate);
    }
    const dx = needs(0) ? into(0) : null;
    const dvalues = needs(1) ? into(1) : null;
    const { columnStart, columnEntry, columnValue } = topology.orders;
    // biome-ignore format: the kernel's argument order
    x.kernels.sparse_conv_backward(x.buffer, ...given(x.channels), gradient.buffer, given(output.channels)[0], values.buffer,
      columnStart.buffer, columnEntry.buffer, columnValue.buffer, shape,
      dx?.tensor.buffer ?? null, ...given(dx?.tensor.channels), dx?.accumulate ?? false,
      dvalues?.tensor.buffer ?? null, dvalues?.accumulate ?? false);
  },
});

const attributes = (
  shape: ConvShape,
  { topology, denseGradient, factor }: SparseTensor,
  options: ConvOptions | null = null,
): SparseConv => ({
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
  return weight instanceof SparseTensor
    ? sparseConv([x, weight.values], attributes(shape, weight, options))
    : denseConv([x, weight], shape);
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
      ? sparseConv([pixels, weight.values], attributes(shape, weight))
      : denseConv([pixels, reshape(weight, [o, i, 1, 1])], shape);
  const flat = reshape(y, [o, n]);
  return bias ? addBias([flat, bias], null) : flat;
}
