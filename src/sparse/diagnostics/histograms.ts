import type { Callback } from "../../train/index.js";
import { prunable } from "../training.js";
import { type Sampling, sampling } from "./sampling.js";

/** Counts of values in bins of equal width from `min` to `max`; a value on the border of two bins is in the upper one. */
export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
  readonly counts: readonly number[];
}

/** Histograms, per layer, of the weights that exist and of their gradients before clipping, in the last step of an epoch. */
export function histograms(options: Sampling & { readonly bins?: number } = {}): Callback {
  const sampled = sampling(options);
  const bins = options.bins ?? 30;
  return {
    name: "histograms",
    onBackward({ parameters, stepsPerEpoch, emit }, step) {
      if (!sampled(step, stepsPerEpoch)) return;
      const layers = prunable(parameters()).map(({ name, leaf }) => ({
        name,
        weights: histogram(leaf.dataSync(), bins),
        gradients: leaf.gradient && histogram(leaf.gradient.dataSync(), bins),
      }));
      emit({ type: "histograms", step, layers });
    },
  };
}

/** The histogram of values; all counts are 0 without any. */
export function histogram(values: ArrayLike<number>, bins: number): Histogram {
  const counts = new Array<number>(bins).fill(0);
  const n = values.length;
  if (n === 0) return { min: 0, max: 0, mean: 0, std: 0, counts };
  let [min, max, sum, squares] = [Infinity, -Infinity, 0, 0];
  for (let i = 0; i < n; i++) {
    const value = values[i];
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    squares += value * value;
  }
  const mean = sum / n;
  const width = (max - min) / bins || 1;
  for (let i = 0; i < n; i++) counts[Math.min(bins - 1, Math.floor((values[i] - min) / width))]++;
  return { min, max, mean, std: Math.sqrt(Math.max(0, squares / n - mean * mean)), counts };
}
