import { dropAndGrow } from "../drop-and-grow.js";
import type { MethodOptions, SparseMethod } from "../method.js";

/** Sparse evolutionary training (Mocanu et al., 2018): drop by magnitude, grow at random, with exact counts. */
export function set(options: MethodOptions): SparseMethod {
  return dropAndGrow("set", "random", { updates: 58, longest: 1500 }, options);
}
