import type { BatchNormForward, Buffer, ConvShape } from "../native.js";
import type { DenseGradient, Normalization, Tensor, Topology } from "../tensor/index.js";
import { given } from "./elementwise.js";

/** Attributes of a sparse convolution on the tape. */
export interface SparseConv {
  readonly shape: ConvShape;
  readonly topology: Topology;
  readonly denseGradient: DenseGradient;
  readonly factor: Tensor | null;
  readonly needed: Tensor | null;
  /** Set when the input is yet to be normalised and rectified: inputs 2 and 3 are then BatchNorm's weight and bias. */
  readonly normalization: Normalization | null;
  /** The BatchNorm of the output, to be computed in the same pass. */
  readonly next: ((output: Tensor) => BatchNormForward) | null;
  /** What was passed to `conv2d` as its options: the layer, when a module did. */
  readonly site: object | null;
}

export const outputShape = ([, h, w, n, o, kh, kw, stride, padding]: ConvShape): number[] => [
  o,
  Math.floor((h + 2 * padding - kh) / stride) + 1,
  Math.floor((w + 2 * padding - kw) / stride) + 1,
  n,
];

/** The four arrays by which kernels normalise as they load. */
export function normArrays(normalization: Normalization | null): [Buffer, Buffer, Buffer, Buffer] {
  if (!normalization) return [null, null, null, null];
  const { mean, inverseDeviation } = normalization.statistics();
  return [normalization.weight.buffer, normalization.bias.buffer, mean.buffer, inverseDeviation.buffer];
}

/** Adds the gradient of all weights, also of those that do not exist, in steps that want it. */
export function addDenseGradient(x: Tensor, values: Tensor, attributes: SparseConv, gradient: Tensor): void {
  const { shape, topology, denseGradient, factor, normalization, needed } = attributes;
  if (!denseGradient.wanted) return;
  const { tensor, accumulate } = denseGradient.into(topology.shape, values);
  // biome-ignore format: the kernel's argument order
  x.kernels.dense_conv_backward_weight(x.buffer, ...given(x.channels), ...normArrays(normalization), gradient.buffer, given(gradient.channels)[0],
    needed?.buffer ?? null, shape, factor?.buffer ?? null, tensor.buffer, accumulate);
  denseGradient.added(topology);
}
