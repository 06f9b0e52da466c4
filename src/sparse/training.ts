import type { Parameter } from "../nn/index.js";
import type { Callback, TrainContext } from "../train/index.js";
import { LiveChannels } from "./live-channels.js";
import { livenessOf } from "./liveness.js";
import type { SparseMethod } from "./method.js";
import { changeTopology } from "./topology.js";

export interface SparseTrainingOptions {
  /** Of topologies, growth and ties. */
  readonly seed: number;
  /** Over the stored prunable weights: with weight sharing higher than the network's own density. */
  readonly density: number;
  /** Prunable weights of the whole network, shared ones counted at each use: what density and sparsity refer to. */
  readonly fullSize: number;
  /** Compute only channels that matter to the loss; on by default, and exact either way. */
  readonly liveChannels?: boolean;
}

/** Trains a network sparse by a method: draws the first topology, then changes it when the method's plan says so. */
export class SparseTraining implements Callback {
  readonly name = "sparse";
  readonly #live = new LiveChannels();
  /** Which topology and form the live channels were worked out for. */
  #planned: readonly unknown[] = [];

  constructor(
    private readonly method: SparseMethod,
    private readonly options: SparseTrainingOptions,
  ) {}

  /** Makes every prunable parameter sparse before its dense weight ever exists. */
  onStart({ model }: TrainContext): void {
    const parameters = prunable(model.parameters());
    const { density, seed } = this.options;
    const topologies = this.method.initialize(parameters, density, seed);
    for (const [i, topology] of topologies.entries()) parameters[i].makeSparse(topology);
  }

  onStepStart(context: TrainContext, step: number): void {
    const parameters = prunable(context.parameters());
    const change = this.method.plan(step);
    if (change?.grow === "gradient") {
      const counts = this.method.distribution(parameters, change.density);
      // Pruning alone needs no gradient of what is missing.
      for (const [i, parameter] of parameters.entries())
        parameter.denseGradient.wanted ||= change.dropFraction > 0 || counts[i] > parameter.nnz;
    }
    if (this.options.liveChannels === false || !parameters.some(({ sparse }) => sparse)) return;
    this.#replan(context);
    this.#live.apply({ growing: parameters.some(({ denseGradient }) => denseGradient.wanted) });
  }

  #replan({ model, imageShape }: TrainContext): void {
    const parameters = model.parameters();
    const present = parameters.map(({ sparse }) => sparse?.topology ?? null);
    if (present.length === this.#planned.length && present.every((topology, i) => topology === this.#planned[i]))
      return;
    this.#planned = present;
    this.#live.update(model, imageShape);
  }

  async onStepEnd({ optimizer, emit, ...context }: TrainContext, step: number): Promise<void> {
    const change = this.method.plan(step);
    if (!change) return;
    const parameters = prunable(context.parameters());
    const counts = this.method.distribution(parameters, change.density);
    const changed = await changeTopology(parameters, { counts, change, seed: this.options.seed, step });
    for (const { parameter, from } of changed) {
      optimizer.remap(parameter, from);
      from.dispose();
    }
    const dropped = changed.reduce((total, layer) => total + layer.dropped, 0);
    const grown = changed.reduce((total, layer) => total + layer.grown, 0);
    const nnz = nnzOf(parameters);
    emit({ type: "topology", step, density: nnz / this.options.fullSize, nnz, dropped, grown });
  }

  onEnd(): void {
    this.#live.dispose();
    this.#planned = [];
  }

  report(context: TrainContext): Record<string, number> {
    const nnz = nnzOf(prunable(context.parameters()));
    return { nnz, density: nnz / this.options.fullSize };
  }

  reportEpoch({ model, imageShape }: TrainContext): Record<string, number> {
    const { liveWeights, liveLogits, layers } = livenessOf(model, imageShape);
    if (layers.size === 0) return { liveLogits }; // dense: every weight counts
    const deadLayers = [...layers.values()].filter(({ live }) => live === 0).length;
    return { liveWeights, liveLogits, deadLayers };
  }

  final(step: number): boolean {
    return (this.method.finalAfter ?? 0) <= step;
  }
}

/** Parameters that sparse methods act on; each weight that is shared counts once. */
export function prunable(parameters: readonly Parameter[]): Parameter[] {
  return parameters.filter((parameter) => parameter.prunable);
}

export function nnzOf(parameters: readonly Parameter[]): number {
  return parameters.reduce((total, parameter) => total + parameter.nnz, 0);
}
