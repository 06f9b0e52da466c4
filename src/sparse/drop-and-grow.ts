import { expected } from "../errors.js";
import type { GrowScore } from "./change.js";
import { erdosRenyiKernel } from "./distribution.js";
import { type MethodOptions, randomTopology, type SparseMethod } from "./method.js";
import { dropFractionCosine } from "./schedule.js";

/**
 * Interval that makes as many updates as a published run, at most the published `longest`, and at least the 100 steps of
 * the original RigL: new weights start at 0 and need time to outgrow the next drop.
 */
export function scaledInterval(steps: number, { updates, longest }: { updates: number; longest: number }): number {
  return Math.max(100, Math.min(longest, Math.round(steps / updates)));
}

/** Whether something happens every `interval` steps, up to the share `until` of all. */
export function dueEvery(interval: number, { steps, until = 0.95 }: { steps: number; until?: number }) {
  return (step: number): boolean => step % interval === 0 && step <= until * steps;
}

/** A method that replaces a falling share of each tensor at regular steps and keeps every count. */
export function dropAndGrow(
  name: string,
  grow: GrowScore,
  published: { updates: number; longest: number },
  options: MethodOptions,
): SparseMethod {
  const { density, steps, dropFraction = 0.5, distribution = erdosRenyiKernel } = options;
  const due = dueEvery(options.interval ?? scaledInterval(steps, published), options);
  const fraction = dropFractionCosine({ initial: dropFraction, steps });
  return {
    name,
    distribution,
    initialize: randomTopology(distribution),
    plan: (step) => (due(step) ? { density, dropFraction: fraction(step), drop: "magnitude", grow } : null),
    exchanges: true,
  };
}

/** The method, with other weights coming in its exchanges. */
export function growingBy(method: SparseMethod, grow: GrowScore): SparseMethod {
  if (!method.exchanges)
    throw expected("growth", "a method that exchanges weights by a plan", method.name, undefined, "EASTING_CONFIG");
  return {
    ...method,
    plan: (step) => {
      const change = method.plan(step);
      return change && change.dropFraction > 0 ? { ...change, grow } : change;
    },
  };
}
