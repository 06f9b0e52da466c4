import { erdosRenyiKernel } from "../distribution.js";
import { dueEvery, scaledInterval } from "../drop-and-grow.js";
import { type MethodOptions, randomTopology, type SparseMethod } from "../method.js";
import { cubicDensity, dropFractionCosine } from "../schedule.js";

/**
 * Gradual pruning with zero-cost neuroregeneration (Liu et al., "Sparse training via boosting pruning plasticity with
 * neuroregeneration", 2021): one threshold for the network prunes from half the weights to the final density over the
 * first half of the run; at every update each tensor then exchanges a falling share as RigL does.
 */
export function granet(options: MethodOptions): SparseMethod {
  const { density, steps, dropFraction = 0.5, distribution = erdosRenyiKernel } = options;
  const interval = options.interval ?? scaledInterval(steps, { updates: 62, longest: 1000 });
  const due = dueEvery(interval, options);
  const fraction = dropFractionCosine({ initial: dropFraction, steps });
  const start = Math.max(0.5, density);
  const end = Math.max(1, Math.round(steps / 2));
  const schedule = cubicDensity({ from: start, to: density, steps: end });
  return {
    name: "granet",
    distribution,
    initialize: (layers, _, seed) => randomTopology(distribution)(layers, start, seed),
    plan: (step) =>
      due(step) || step === end
        ? {
            density: schedule(step),
            dropFraction: fraction(step),
            drop: "magnitude",
            grow: "gradient",
            across: "network",
          }
        : null,
    exchanges: true,
    density: schedule,
    finalAfter: end,
  };
}
