import type { Parameter } from "../nn/index.js";
import type { Schedule } from "../optim/index.js";
import { sample, Topology } from "../tensor/index.js";
import type { SectionData, TrainContext } from "../train/index.js";
import type { TopologyChange } from "./change.js";
import type { Distribution, LayerShape } from "./distribution.js";
import type { LayerChange } from "./topology.js";

/** The network that a first topology is for, and its training images. */
export type StartingNetwork = Pick<TrainContext, "model" | "imageShape" | "loader">;

/** Where the first connections go; an empty list leaves the network dense. Only what scores weights needs the network. */
export type Initialize = (
  layers: readonly LayerShape[],
  density: number,
  seed: number,
  network?: StartingNetwork,
) => Topology[] | Promise<Topology[]>;

/** What an update rule works on. */
export interface RuleContext extends TrainContext {
  /** The prunable parameters. */
  readonly layers: readonly Parameter[];
  readonly seed: number;
}

/** What a method does beyond its plan. It may hold state, which travels in the checkpoint. */
export interface UpdateRule {
  /** Before the forward pass of `step`: ask for dense gradients here. */
  onStepStart?(context: RuleContext, step: number): void;
  /** After the optimizer took `step` and after the plan's change; what it did to which tensors, if anything. */
  onStepEnd(context: RuleContext, step: number): Promise<readonly LayerChange[]>;
  state?(): { header?: Readonly<Record<string, number>>; sections?: ReadonlyMap<string, SectionData> };
  load?(header: Readonly<Record<string, number>>, sections: ReadonlyMap<string, SectionData>): void;
  dispose?(): void;
}

/** A sparse method: where connections start, and how they move. */
export interface SparseMethod {
  readonly name: string;
  readonly initialize: Initialize;
  /** Counts per tensor of a random first topology; left out where scores decide, or all weights begin. */
  readonly distribution?: Distribution;
  /** The change due right after optimizer step `step` (from 1), or null. A pure function: runs resume anywhere. */
  readonly plan: (step: number) => TopologyChange | null;
  /** Whether the plan exchanges weights, so that other ones can be made to come. */
  readonly exchanges?: boolean;
  /** For what a plan cannot say; made anew for every run. */
  readonly rule?: () => UpdateRule;
  /** Density aimed at after a step where that changes over the run; the final one throughout when left out. */
  readonly density?: Schedule;
  /** Step from which on the density is the final one; 0 when left out. */
  readonly finalAfter?: number;
  /** Whether the optimizer leaves out the steps that change the topology. */
  readonly replacesStep?: boolean;
  /** The learning rate, made from that of the run. */
  readonly learningRate?: (step: number, ofRun: number) => number;
}

/** What every method is made from. */
export interface MethodOptions {
  /** Over the prunable weights of the parameters that are made sparse. */
  readonly density: number;
  /** Training steps of the whole run. */
  readonly steps: number;
  /** Counts per tensor; Erdős–Rényi-Kernel, or what the method has. */
  readonly distribution?: Distribution;
  /** Steps between updates; see `scaledInterval` for the default. */
  readonly interval?: number;
  /** Share of each tensor replaced at first; each method has its default. */
  readonly dropFraction?: number;
  /** No update after this share of the steps, so that no weight ends untrained; 0.95 by default. */
  readonly until?: number;
  /** Coupled L2 of the optimizer; 1e-4 by default. */
  readonly weightDecay?: number;
}

/** Exact counts by `distribution`, positions at random. */
export function randomTopology(
  distribution: Distribution,
): (layers: readonly LayerShape[], density: number, seed: number) => Topology[] {
  return (layers, density, seed) =>
    distribution(layers, density).map((nnz, stream) => {
      const { shape } = layers[stream];
      const size = shape.reduce((product, extent) => product * extent, 1);
      return new Topology(shape, sample({ seed, purpose: "topology", stream }, size, nnz));
    });
}
