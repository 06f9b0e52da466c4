import { erdosRenyiKernel } from "../distribution.js";
import { randomTopology, type SparseMethod } from "../method.js";

/** A random topology that never changes. */
export function staticRandom(): SparseMethod {
  return {
    name: "static",
    distribution: erdosRenyiKernel,
    initialize: randomTopology(erdosRenyiKernel),
    plan: () => null,
  };
}
