import { erdosRenyiKernel } from "../distribution.js";
import { type MethodOptions, randomTopology, type SparseMethod } from "../method.js";

/** A random topology that never changes. */
export function staticRandom({ distribution = erdosRenyiKernel }: MethodOptions): SparseMethod {
  return { name: "static", distribution, initialize: randomTopology(distribution), plan: () => null };
}
