import { type Cell, isDone, runFolder } from "../experiments/index.js";
import { readEvents } from "../train/index.js";
import type { EntryRuns } from "./runs.js";

/** One value of one run at one time. */
export interface Point {
  readonly model: string;
  readonly data: string;
  readonly sparsity: number;
  /** Label of the method. */
  readonly method: string;
  readonly seed: number;
  /** Epochs done, with fractions. */
  readonly epoch: number;
  readonly value: number;
}

/** A line of events.jsonl. */
export type RunEvent = { readonly type: string; readonly step: number; readonly [key: string]: unknown };

/** A quantity of a run over time: its value in events of one type; null where an event does not tell it. */
export type Quantity = (event: RunEvent) => number | null;

const told =
  (type: string, key: string, value = (number: number) => number): Quantity =>
  (event) => {
    const number = event.type === type ? event[key] : null;
    return typeof number === "number" ? value(number) : null;
  };
const percent = (fraction: number) => 100 * fraction;
const missing = (density: number) => 100 * (1 - density);

/** Percent of the validation images. */
export const accuracy = told("epoch", "validationAccuracy", percent);
/** Percent of the prunable weights. */
export const actualSparsity = told("step", "density", missing);
export const targetSparsity = told("step", "targetDensity", missing);
/** Sum over weight tensors of the L2 norm of the dense gradient. */
export const gradientNorm = told("gradient-flow", "norm");
/** Percent of inputs of activations that are above 0, averaged over activations. */
export const positivePreActivations = told("pre-activations", "positive", percent);

/** The quantities over time of all runs that are done. */
export async function curves<Q extends Readonly<Record<string, Quantity>>>(
  sweep: string,
  runs: readonly EntryRuns[],
  quantities: Q,
): Promise<Record<keyof Q, Point[]>> {
  const points = Object.fromEntries(Object.keys(quantities).map((name) => [name, [] as Point[]]));
  for (const { entry, cells } of runs)
    for (const cell of cells) {
      const events = await finishedEvents(sweep, cell);
      const start = events.find((event) => event.type === "start");
      if (!start) continue;
      const perEpoch = start.stepsPerEpoch as number;
      const { model, data, sparsity, method } = entry;
      const common = { model, data, sparsity, method: method.label, seed: cell.config.seed };
      for (const [name, quantity] of Object.entries(quantities)) {
        const all = events.flatMap((event) => {
          const value = quantity(event);
          return value === null ? [] : { ...common, epoch: event.step / perEpoch, value };
        });
        points[name].push(...thinned(all));
      }
    }
  return points as Record<keyof Q, Point[]>;
}

export async function finishedEvents(sweep: string, cell: Cell): Promise<RunEvent[]> {
  const run = runFolder(sweep, cell.id);
  return (await isDone(run, cell)) ? ((await readEvents(run)) as RunEvent[]) : [];
}

/** A picture is some hundred points wide. */
function thinned<T>(points: readonly T[], most = 500): readonly T[] {
  const every = Math.ceil(points.length / most);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}
