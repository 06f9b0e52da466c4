import { EastingError, expected } from "../errors.js";

/** One weight tensor that may be sparse: `[o, i, kh, kw]` or `[o, i]`. */
export interface LayerShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * How many weights each tensor keeps. The counts sum to exactly ⌊density·N⌋, N being the number of weights of all `layers`;
 * each is at least 1 and at most the tensor's size. Fails with `EASTING_DENSITY` where the density is outside (0, 1] or
 * leaves fewer weights than there are tensors.
 */
export type Distribution = (layers: readonly LayerShape[], density: number) => number[];

/** Erdős–Rényi-Kernel: density ∝ Σ dims / Π dims, kernel dims included (Evci et al., "Rigging the Lottery", 2020). */
export const erdosRenyiKernel: Distribution = (layers, density) =>
  distribute(layers, density, (shape) => sum(shape) / product(shape));

/** Densities by Erdős–Rényi-Kernel before counts are made whole. */
export function erdosRenyiKernelDensities(layers: readonly LayerShape[], density: number): number[] {
  const sizes = layers.map(({ shape }) => product(shape));
  const shares = saturatingShares(layers, sizes, density, (shape) => sum(shape) / product(shape));
  return shares.map((share, l) => share / sizes[l]);
}

/** Erdős–Rényi: density ∝ (o + i) / (o·i), whatever the kernel (Mocanu et al., 2018). */
export const erdosRenyi: Distribution = (layers, density) => distribute(layers, density, ([o, i]) => (o + i) / (o * i));

/** The same density in every tensor. */
export const uniformDistribution: Distribution = (layers, density) => distribute(layers, density, () => 1);

/** The same number of weights in every tensor (EPL of "dense for the price of sparse", Price and Tanner, 2021). */
export const equalPerLayer: Distribution = (layers, density) =>
  distribute(layers, density, (shape) => 1 / product(shape));

/** Numbers of weights in proportion to the output channels (EPF, the same source). */
export const equalPerFilter: Distribution = (layers, density) =>
  distribute(layers, density, (shape) => shape[0] / product(shape));

/** Distributions by the name used on the command line. */
export const distributions = {
  erk: erdosRenyiKernel,
  er: erdosRenyi,
  uniform: uniformDistribution,
  epl: equalPerLayer,
  epf: equalPerFilter,
} as const satisfies Record<string, Distribution>;

type RelativeDensity = (shape: readonly number[]) => number;

function distribute(layers: readonly LayerShape[], density: number, relativeDensity: RelativeDensity): number[] {
  const sizes = layers.map((layer) => product(layer.shape));
  const total = totalCount(sizes, density);
  return roundToTotal(saturatingShares(layers, sizes, density, relativeDensity), sizes, total);
}

/** ⌊density·N⌋; 0.999 as 1 − 0.001 and N·0.001 miss whole numbers by far less than the allowance. */
function totalCount(sizes: readonly number[], density: number): number {
  if (!(density > 0 && density <= 1)) {
    throw expected("distribution", "a density above 0 and at most 1", density, undefined, "EASTING_DENSITY");
  }
  const total = Math.floor(density * sum(sizes) + 1e-6);
  if (total < sizes.length) {
    throw new EastingError(
      "EASTING_DENSITY",
      `distribution: expected at least one weight for each of ${sizes.length} tensors, got ${total} at density ${density}`,
      "choose a larger density",
    );
  }
  return total;
}

/**
 * Real-valued counts ε·relative·size. While the densest free tensor would exceed density 1 it is made dense (with every
 * tensor of the same relative density), and the rest share what is left.
 */
function saturatingShares(
  layers: readonly LayerShape[],
  sizes: readonly number[],
  density: number,
  relativeDensity: RelativeDensity,
): number[] {
  const relative = layers.map((layer) => relativeDensity(layer.shape));
  const shares = [...sizes];
  const free = new Set(layers.keys());
  let budget = density * sum(sizes);
  while (free.size > 0) {
    const epsilon = budget / sum([...free].map((l) => relative[l] * sizes[l]));
    const densest = Math.max(...[...free].map((l) => relative[l]));
    if (epsilon * densest <= 1) {
      for (const l of free) shares[l] = epsilon * relative[l] * sizes[l];
      break;
    }
    for (const l of free) {
      if (relative[l] !== densest) continue;
      free.delete(l);
      budget -= sizes[l];
    }
  }
  return shares;
}

/** Largest remainder: whole counts nearest to `shares` that sum to `total`, each within [least, size]; ties go to the earlier tensor. */
export function roundToTotal(shares: readonly number[], sizes: readonly number[], total: number, least = 1): number[] {
  const counts = shares.map((share, l) => Math.min(Math.max(Math.floor(share), least), sizes[l]));
  let missing = total - sum(counts);
  for (; missing > 0; missing--) {
    counts[largest(counts, (l) => (counts[l] < sizes[l] ? shares[l] - counts[l] : -Infinity))]++;
  }
  for (; missing < 0; missing++) {
    counts[largest(counts, (l) => (counts[l] > least ? counts[l] - shares[l] : -Infinity))]--;
  }
  return counts;
}

function largest(items: readonly unknown[], score: (index: number) => number): number {
  let best = 0;
  for (let index = 1; index < items.length; index++) if (score(index) > score(best)) best = index;
  return best;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);
