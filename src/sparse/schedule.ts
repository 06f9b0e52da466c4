import { expected } from "../errors.js";
import { cosine, type Ramp, type Schedule } from "../optim/schedule.js";

/** The share of a tensor's weights that a late topology update still replaces (Liu et al., in-time over-parameterization, 2021). */
const FINAL_DROP_FRACTION = 0.005;

/** Share of weights dropped at an update: from `initial` to `final` (0.005) by half a cosine over `steps`. */
export function dropFractionCosine(options: { initial?: number; final?: number; steps: number }): Schedule {
  const { initial = 0.5, final = FINAL_DROP_FRACTION, steps } = options;
  return cosine({ from: initial, to: final, steps });
}

/** Gradual pruning (Zhu and Gupta, 2017): density `to + (from − to)·(1 − step/steps)³`, exactly `to` from `steps` on. */
export function cubicDensity({ from, to, steps }: Ramp): Schedule {
  return (step) => to + (from - to) * Math.max(0, 1 - step / steps) ** 3;
}

/** Cycles of density, in steps. */
export interface CyclicDensityOptions {
  /** Density at both ends of every cycle: the target. */
  readonly low: number;
  /** Density in the middle of every cycle. */
  readonly high: number;
  readonly cycles: number;
  /** Steps of the first cycle. */
  readonly length: number;
  /** How many times longer each cycle is than the one before. */
  readonly multiplier: number;
  readonly pattern: "cosine" | "triangular";
}

/** Density for the update after step `t` (the first step is 1), and the steps of all cycles together. */
export interface CyclicDensity {
  readonly density: Schedule;
  readonly length: number;
}

/**
 * EAST's cyclic sparsity (arXiv 2411.13545, section 3.3). With p = (t − start − 1)/length inside a cycle:
 * cosine `low + (high − low)·(1 − cos 2πp)/2`; triangular rises by 2p, then falls by 2(1 − p).
 * From the last step of the last cycle on it is exactly `low`, whatever the interval of updates.
 */
export function cyclicDensity(options: CyclicDensityOptions): CyclicDensity {
  const { low, high, cycles, length, multiplier, pattern } = options;
  if (!(low > 0 && high >= low && high <= 1)) {
    throw expected(
      "cyclicDensity",
      "0 < low <= high <= 1",
      `low ${low} and high ${high}`,
      undefined,
      "EASTING_DENSITY",
    );
  }
  if (!(Number.isInteger(cycles) && cycles >= 1)) throw expected("cyclicDensity", "a whole number of cycles", cycles);
  if (!(length >= 1)) throw expected("cyclicDensity", "a length of at least 1 step", length);
  if (!(multiplier > 0)) throw expected("cyclicDensity", "a multiplier above 0", multiplier);

  const lengths = Array.from({ length: cycles }, (_, cycle) => Math.max(1, Math.round(length * multiplier ** cycle)));
  const total = lengths.reduce((a, b) => a + b, 0);
  const rise = pattern === "cosine" ? cosineRise : triangularRise;
  return {
    length: total,
    density: (step) => (step < 1 || step >= total ? low : low + (high - low) * rise(position(lengths, step - 1))),
  };
}

/** Where `elapsed` steps fall inside their cycle, in [0, 1). */
function position(lengths: readonly number[], elapsed: number): number {
  let start = 0;
  for (const length of lengths) {
    if (elapsed < start + length) return (elapsed - start) / length;
    start += length;
  }
  return 0;
}

const cosineRise = (p: number): number => (1 - Math.cos(2 * Math.PI * p)) / 2;
const triangularRise = (p: number): number => 1 - Math.abs(2 * p - 1);
