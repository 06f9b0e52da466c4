import { dueEvery, scaledInterval } from "../drop-and-grow.js";
import type { MethodOptions, SparseMethod } from "../method.js";
import { cubicDensity } from "../schedule.js";

/**
 * Gradual magnitude pruning (Zhu and Gupta, "To prune, or not to prune", 2017): from the dense network to the final density
 * over the first half of the run, by one threshold for all tensors as GraNet has it. Dense memory and compute at first.
 */
export function gmp(options: MethodOptions): SparseMethod {
  const { density, steps } = options;
  const interval = options.interval ?? scaledInterval(steps, { updates: 62, longest: 1000 });
  const due = dueEvery(interval, { steps, until: 0.5 });
  const end = Math.max(1, Math.round(steps / 2));
  const schedule = cubicDensity({ from: 1, to: density, steps: end });
  return {
    name: "gmp",
    initialize: () => [],
    plan: (step) =>
      due(step) || step === end
        ? { density: schedule(step), dropFraction: 0, drop: "magnitude", grow: "random", across: "network" }
        : null,
    density: schedule,
    finalAfter: end,
  };
}
