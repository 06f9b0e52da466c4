import { erdosRenyiKernel } from "../distribution.js";
import { dueEvery } from "../drop-and-grow.js";
import { type MethodOptions, randomTopology, type SparseMethod } from "../method.js";
import { dropFractionCosine } from "../schedule.js";

/**
 * RigL as first published (Evci et al., 2020): every 100 steps, r from 0.3 by half a cosine over the first 75 % of the run,
 * ⌊r·n⌋ replaced, and the optimizer leaves these steps out.
 */
export function riglOriginal(options: MethodOptions): SparseMethod {
  const { density, steps, interval = 100, dropFraction = 0.3, until = 0.75, distribution = erdosRenyiKernel } = options;
  const due = dueEvery(interval, { steps, until });
  const fraction = dropFractionCosine({ initial: dropFraction, final: 0, steps: until * steps });
  return {
    name: "rigl-original",
    distribution,
    initialize: randomTopology(distribution),
    plan: (step) =>
      due(step)
        ? { density, dropFraction: fraction(step), drop: "magnitude", grow: "gradient", rounding: "down" }
        : null,
    exchanges: true,
    replacesStep: true,
  };
}
