import { sample, Topology } from "../tensor/index.js";
import type { Distribution, LayerShape } from "./distribution.js";

/** Which existing weights leave first. */
export type DropScore = "magnitude";
/** Which missing weights come: largest dense gradient, or at random. */
export type GrowScore = "gradient" | "random";

/** One change of topology. Every tensor ends with exactly the count that the distribution gives it at `density`. */
export interface TopologyChange {
  readonly density: number;
  /** Share of each tensor's weights replaced on top of what the change of density takes; 0 only prunes or grows. */
  readonly dropFraction: number;
  readonly drop: DropScore;
  readonly grow: GrowScore;
}

/** Where the first connections go; an empty list leaves the network dense. */
export type Initialize = (layers: readonly LayerShape[], density: number, seed: number) => Topology[];

/** A sparse method: where connections start, and how they move. */
export interface SparseMethod {
  readonly name: string;
  readonly initialize: Initialize;
  readonly distribution: Distribution;
  /** The change due right after optimizer step `step` (from 1), or null. A pure function: runs resume anywhere. */
  readonly plan: (step: number) => TopologyChange | null;
  /** Step from which on the density is the final one; 0 when left out. */
  readonly finalAfter?: number;
}

/** Exact counts by `distribution`, positions at random. */
export function randomTopology(distribution: Distribution): Initialize {
  return (layers, density, seed) =>
    distribution(layers, density).map((nnz, stream) => {
      const { shape } = layers[stream];
      const size = shape.reduce((product, extent) => product * extent, 1);
      return new Topology(shape, sample({ seed, purpose: "topology", stream }, size, nnz));
    });
}
