import type { Parameter } from "../nn/index.js";
import { Tensor } from "../tensor/index.js";

/**
 * Whose gradients count towards the norm: `active` those of weights that exist, `dense` also those at missing positions
 * (as EAST's code does; needs dense gradients at every step), `off` no clipping.
 */
export type ClipMode = "off" | "active" | "dense";

export interface Clip {
  readonly mode: ClipMode;
  /** The largest norm. */
  readonly maximum: number;
}

/** The factor `[1]` that brings the global L2 norm of all gradients down to `maximum`: min(1, maximum / (norm + 1e-6)). */
export function clipFactor(parameters: readonly Parameter[], maximum: number, mode: "active" | "dense"): Tensor {
  const gradients = parameters.flatMap((parameter) => {
    const dense = mode === "dense" && parameter.sparse ? parameter.denseGradient.tensor : null;
    return dense ?? parameter.leaf.gradient ?? [];
  });
  const squares = Tensor.empty([gradients.length]);
  squares.kernels.sum_of_squares(
    gradients.map(({ buffer }) => buffer),
    squares.buffer,
  );
  const factor = Tensor.empty([1]);
  squares.kernels.clip_factor(squares.buffer, maximum, factor.buffer);
  squares.dispose();
  return factor;
}
