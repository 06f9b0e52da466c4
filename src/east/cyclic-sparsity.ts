import { expected } from "../errors.js";
import { cyclicDensity, randomTopology, type SparseMethod } from "../sparse/index.js";

export interface CyclicSparsityOptions {
  /** Final density, over the stored prunable weights. */
  readonly density: number;
  /** Training steps of the whole run. */
  readonly steps: number;
  /** 2 by default. */
  readonly cycles?: number;
  /** Share of the run that the first cycle takes; 50/250 by default. */
  readonly length?: number;
  /** Each further cycle is longer by this factor; 1 by default. */
  readonly multiplier?: number;
  /** Density at the middle of a cycle, as a multiple of the final one; 3 by default. */
  readonly peak?: number;
  readonly pattern?: "cosine" | "triangular";
  /** Steps between updates inside the cycles; 100 by default, less in short runs so that a cycle has about 20. */
  readonly interval?: number;
}

/**
 * Cyclic sparsity (arXiv 2411.13545, section 3.3) around any method: while it lasts the density swings between `density`
 * and `peak` times it, by pruning the smallest or growing where the gradient is largest, never both in one update. A
 * projection to the final density is forced where the cycles end; from there on the inner method rules.
 */
export function cyclicSparsity(inner: SparseMethod, options: CyclicSparsityOptions): SparseMethod {
  const { density, steps, cycles = 2, length = 50 / 250, multiplier = 1, peak = 3, pattern = "cosine" } = options;
  if (!inner.distribution || inner.rule)
    throw expected(
      "cycles",
      "a method with counts per tensor and no rule of its own",
      inner.name,
      "leave --cycles out",
      "EASTING_CONFIG",
    );
  const first = Math.max(1, Math.round(length * steps));
  const cycle = cyclicDensity({
    low: density,
    high: Math.min(1, peak * density),
    cycles,
    length: first,
    multiplier,
    pattern,
  });
  const interval = options.interval ?? Math.max(1, Math.min(100, Math.round(first / 20)));
  return {
    ...inner,
    name: `${inner.name}+cyclic`,
    initialize: randomTopology(inner.distribution),
    density: (step) => (step > cycle.length && inner.density ? inner.density(step) : cycle.density(step)),
    finalAfter: Math.max(cycle.length, inner.finalAfter ?? 0),
    plan: (step) => {
      if (step > cycle.length) return inner.plan(step);
      if (step % interval !== 0 && step !== cycle.length) return null;
      return { density: cycle.density(step), dropFraction: 0, drop: "magnitude", grow: "gradient" };
    },
  };
}
