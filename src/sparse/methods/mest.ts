import { uniformDistribution } from "../distribution.js";
import { dueEvery, scaledInterval } from "../drop-and-grow.js";
import { type MethodOptions, randomTopology, type SparseMethod } from "../method.js";

// Published for 160 epochs at 90 % sparsity: an update every 5 epochs; the settings switch at epochs 90 and 120.
const updates = { updates: 32, longest: 2000 };
const switches = [90 / 160, 120 / 160];
const stage = (step: number, steps: number) => switches.filter((share) => step > share * steps).length;

/**
 * MEST with elastic mutation (Yuan et al., "MEST: Accurate and fast memory-economic sparse training on the edge", 2021):
 * each tensor is pruned by magnitude below its density and grows back at random. The published 92, 91 and 90 % against a
 * target of 90 % are shares of 20, 10 and 0 % of the weights, whatever the density.
 */
export function mest(options: MethodOptions): SparseMethod {
  const { density, steps, dropFraction = 0.2, distribution = uniformDistribution } = options;
  const due = dueEvery(options.interval ?? scaledInterval(steps, updates), options);
  return {
    name: "mest",
    distribution,
    initialize: randomTopology(distribution),
    exchanges: true,
    plan: (step) => {
      const share = [dropFraction, dropFraction / 2, 0][stage(step, steps)];
      return due(step) && share > 0 ? { density, dropFraction: share, drop: "magnitude", grow: "random" } : null;
    },
  };
}

/**
 * MEST with elastic mutation and soft memory bound: pruned to the density, then grown beyond it, by half until 90/160 of
 * the run and by a quarter until 120/160, where the density becomes the final one (85, 87.5, 90 % as published).
 */
export function mestSoft(options: MethodOptions): SparseMethod {
  const { density, steps, distribution = uniformDistribution } = options;
  const interval = options.interval ?? scaledInterval(steps, updates);
  const due = dueEvery(interval, options);
  const soft = (step: number) => Math.min(1, density * [1.5, 1.25, 1][stage(step, steps)]);
  const last = Math.floor(switches[1] * steps) + 1;
  return {
    name: "mest-soft",
    distribution,
    initialize: (layers, _, seed) => randomTopology(distribution)(layers, soft(0), seed),
    exchanges: true,
    plan: (step) => {
      const wide = soft(step);
      if (step === last) return { density, dropFraction: 0, drop: "magnitude", grow: "random" };
      if (!due(step) || step > last) return null;
      return { density: wide, dropFraction: 1 - density / wide, drop: "magnitude", grow: "random", rounding: "down" };
    },
    density: soft,
    finalAfter: last,
  };
}
