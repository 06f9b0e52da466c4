import { dropAndGrow } from "../drop-and-grow.js";
import type { MethodOptions, SparseMethod } from "../method.js";

/** RigL (Evci et al., 2020) as run by in-time over-parameterization: drop by magnitude, grow where the gradient is largest. */
export function rigl(options: MethodOptions): SparseMethod {
  return dropAndGrow("rigl", "gradient", { updates: 22, longest: 4000 }, options);
}
