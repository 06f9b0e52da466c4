import type { SparseMethod } from "../method.js";

/** No sparsity: the baseline that every weight exists in. */
export function dense(): SparseMethod {
  return { name: "dense", initialize: () => [], plan: () => null };
}
