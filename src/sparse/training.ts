import type { Parameter } from "../nn/index.js";
import type { Callback, TrainContext } from "../train/index.js";
import { LiveChannels } from "./live-channels.js";
import { type Liveness, livenessOf } from "./liveness.js";
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
  #liveness: Liveness | null = null;
  /** Which topology and form that was worked out for. */
  #planned: readonly unknown[] = [];
  #dead: ReadonlySet<string> = new Set();

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
    if (!parameters.some(({ sparse }) => sparse)) return;
    const changed = this.#update(context);
    if (changed) this.#tell(changed, context, step);
    if (this.options.liveChannels === false) return;
    if (changed) this.#live.update(changed);
    this.#live.apply({ growing: parameters.some(({ denseGradient }) => denseGradient.wanted) });
  }

  /** Works out what is live, if the network's topology or form has changed since. */
  #update({ model, imageShape }: Pick<TrainContext, "model" | "imageShape">): Liveness | null {
    const present = model.parameters().map(({ sparse }) => sparse?.topology ?? null);
    const { length } = this.#planned;
    if (this.#liveness && present.length === length && present.every((topology, i) => topology === this.#planned[i]))
      return null;
    this.#planned = present;
    this.#liveness = livenessOf(model, imageShape);
    return this.#liveness;
  }

  /** What is live in each layer, and a warning for what has died since the last time. */
  #tell({ liveWeights, liveLogits, layers }: Liveness, { model, emit }: TrainContext, step: number): void {
    const perLayer = model.parameters().flatMap(({ name, sparse }) => {
      const layer = sparse && layers.get(sparse.topology);
      return layer ? [{ name, ...layer }] : [];
    });
    emit({ type: "liveness", step, liveWeights, liveLogits, layers: perLayer });
    const dead = new Set(perLayer.flatMap(({ name, live }) => (live === 0 ? [name] : [])));
    const fresh = [...dead].filter((name) => !this.#dead.has(name));
    this.#dead = dead;
    if (fresh.length === 0) return;
    const message =
      liveLogits === 0
        ? "no logit depends on the image: too few weights are left to connect them; lower the sparsity"
        : `no weight of ${fresh.join(", ")} is on a path from image to logit`;
    emit({ type: "warning", step, message });
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
    this.#liveness = null;
  }

  report(context: TrainContext): Record<string, number> {
    const nnz = nnzOf(prunable(context.parameters()));
    return { nnz, density: nnz / this.options.fullSize };
  }

  reportEpoch(context: TrainContext): Record<string, number> {
    this.#update(context);
    const { liveWeights, liveLogits, layers } = this.#liveness as Liveness;
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
