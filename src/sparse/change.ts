/** Which existing weights leave first. */
export type DropScore = "magnitude";

/**
 * Which missing weights come: those of largest dense gradient; at random, exactly as many as are missing; each free place
 * by chance (`bernoulli`: right on average only, as the public code of SET does it); or those of largest gradient among a
 * random few (`gse`), which needs no dense gradient.
 */
export type GrowScore = "gradient" | "random" | "bernoulli" | "gse";

/** One change of topology. Every tensor ends with exactly the count that it should have at `density`, except by chance. */
export interface TopologyChange {
  readonly density: number;
  /** Share of what the change of density leaves that is replaced; 0 only prunes or grows. */
  readonly dropFraction: number;
  readonly drop: DropScore;
  readonly grow: GrowScore;
  /** Counts per tensor: by the method's distribution (`layer`, the default), or by one threshold for all (`network`). */
  readonly across?: "layer" | "network";
  /** How many of n weights a drop fraction r replaces: ⌈r·n⌉ (`up`, the default) or ⌊r·n⌋. */
  readonly rounding?: "up" | "down";
}
