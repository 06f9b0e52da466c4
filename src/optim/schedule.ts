import { expected } from "../errors.js";

/** A number that depends on nothing but the count of steps taken before this one. */
export type Schedule = (step: number) => number;

/** Where a ramp starts and ends, and how many steps it takes; it stays at `to` afterwards. */
export interface Ramp {
  readonly from: number;
  readonly to: number;
  readonly steps: number;
}

/** The same value at every step. */
export function constant(value: number): Schedule {
  return () => value;
}

/** A straight line: `from + (to − from)·step/steps`. */
export function linear({ from, to, steps }: Ramp): Schedule {
  const progress = progressOver("linear", steps);
  return (step) => from + (to - from) * progress(step);
}

/** Half a cosine wave: `to + (from − to)·(1 + cos(π·step/steps))/2`. */
export function cosine({ from, to, steps }: Ramp): Schedule {
  const progress = progressOver("cosine", steps);
  return (step) => to + ((from - to) * (1 + Math.cos(Math.PI * progress(step)))) / 2;
}

/** `initial`, multiplied by `factor` once for every milestone reached: step `m` is the first one after milestone `m`. */
export function stepDecay(options: {
  readonly initial: number;
  readonly factor: number;
  readonly milestones: readonly number[];
}): Schedule {
  const { initial, factor } = options;
  const milestones = [...options.milestones];
  return (step) => initial * factor ** milestones.filter((milestone) => step >= milestone).length;
}

/** Share of `steps` done, held inside [0, 1]. */
function progressOver(where: string, steps: number): Schedule {
  if (!(steps > 0)) throw expected(where, "steps above 0", steps);
  return (step) => Math.min(Math.max(step / steps, 0), 1);
}
