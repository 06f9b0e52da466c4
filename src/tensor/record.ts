import type { BatchNormForward } from "../native.js";
import type { Tensor } from "./tensor.js";

/** What computed a tensor; written by ops, walked by `backward` and by graph readers. */
export interface TapeNode {
  readonly name: string;
  readonly order: number;
  readonly inputs: readonly (Tensor | null)[];
  readonly attributes: unknown;
  readonly saved: unknown;
  readonly output: Tensor;
  readonly compact: boolean;
  backward(context: unknown): void;
}

/** Work that has not run yet, so that what follows can join it. */
export interface Deferred {
  compute(): Tensor;
  /** Set on a normalisation: a sum and a ReLU join it, and a convolution may take it over. */
  readonly norm?: DeferredNorm;
  /** Set on a convolution: computes it together with the BatchNorm of its output. */
  readonly convolve?: (norm: (output: Tensor) => BatchNormForward) => Tensor;
}

export interface DeferredNorm {
  /** The sum that joins before the ReLU. */
  readonly residual: Tensor | null;
  readonly relu: boolean;
  /** The same normalisation with more behind it. */
  with(fused: { residual: Tensor | null; relu: boolean }): Deferred;
  /** What is normalised, and how: for a consumer that normalises as it loads. */
  readonly source: Normalization;
}

/** BatchNorm of `x` with the statistics of this pass; `inverseDeviation` is 1 / sqrt(variance + epsilon), per channel. */
export interface Normalization {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly training: boolean;
  /** Taken once per pass, whoever asks. */
  statistics(): { readonly mean: Tensor; readonly inverseDeviation: Tensor };
}

/**
 * What is there of a compact activation's channels: kind `[c]` (i32) 1 for a plane, 0 for zero everywhere, -1 for nowhere
 * needed, 2 for one number everywhere, which `value [c]` holds. Of a gradient, `value` holds the sum over the plane.
 */
export interface Channels {
  readonly kind: Tensor;
  readonly value: Tensor;
}
