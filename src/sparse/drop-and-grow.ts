import { erdosRenyiKernel } from "./distribution.js";
import { type GrowScore, randomTopology, type SparseMethod } from "./method.js";
import { dropFractionCosine } from "./schedule.js";

export interface DropAndGrowOptions {
  /** Over the prunable weights of the parameters that are made sparse. */
  readonly density: number;
  /** Training steps of the whole run. */
  readonly steps: number;
  /** Steps between updates; see `scaledInterval` for the default. */
  readonly interval?: number;
  /** Share of each tensor replaced at first; falls to 0.005 by half a cosine. 0.5 by default. */
  readonly dropFraction?: number;
  /** No update after this share of the steps, so that no weight ends untrained; 0.95 by default. */
  readonly until?: number;
}

/**
 * Interval that makes as many updates as a published run, at most the published `longest`, and at least the 100 steps of
 * the original RigL: new weights start at 0 and need time to outgrow the next drop.
 */
export function scaledInterval(steps: number, { updates, longest }: { updates: number; longest: number }): number {
  return Math.max(100, Math.min(longest, Math.round(steps / updates)));
}

/** A method that replaces a falling share of each tensor at regular steps and keeps every count. */
export function dropAndGrow(
  name: string,
  grow: GrowScore,
  published: { updates: number; longest: number },
  options: DropAndGrowOptions,
): SparseMethod {
  const { density, steps, dropFraction = 0.5, until = 0.95 } = options;
  const interval = options.interval ?? scaledInterval(steps, published);
  const fraction = dropFractionCosine({ initial: dropFraction, steps });
  return {
    name,
    distribution: erdosRenyiKernel,
    initialize: randomTopology(erdosRenyiKernel),
    plan: (step) =>
      step % interval === 0 && step <= until * steps
        ? { density, dropFraction: fraction(step), drop: "magnitude", grow }
        : null,
  };
}
