import type { Parameter } from "../nn/index.js";
import type { Callback, JsonObject, SectionData, TrainContext } from "../train/index.js";
import type { TopologyChange } from "./change.js";
import { Explored } from "./explored.js";
import { GuidedExploration } from "./guided-exploration.js";
import { LiveChannels } from "./live-channels.js";
import { livenessOf } from "./liveness.js";
import type { RuleContext, SparseMethod, UpdateRule } from "./method.js";
import { magnitudeCounts } from "./network-counts.js";
import { changeTopology, type LayerChange } from "./topology.js";

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
  readonly #explored = new Explored();
  readonly #guided = new GuidedExploration();
  readonly #rule: UpdateRule | null;
  /** Which topology and form the live channels were worked out for. */
  #planned: readonly unknown[] = [];

  constructor(
    private readonly method: SparseMethod,
    private readonly options: SparseTrainingOptions,
  ) {
    this.#rule = method.rule?.() ?? null;
  }

  /** Makes every prunable parameter sparse, before its dense weight ever exists unless the method scores it. */
  async onStart(context: TrainContext): Promise<void> {
    if (context.resuming) return;
    const parameters = prunable(context.model.parameters());
    const { density, seed } = this.options;
    const topologies = await this.method.initialize(parameters, density, seed, context);
    for (const [i, topology] of topologies.entries()) parameters[i].makeSparse(topology);
  }

  onStepStart(context: TrainContext, step: number): void {
    const parameters = prunable(context.parameters());
    const change = this.method.plan(step);
    if (change?.grow === "gradient") {
      const counts = this.method.distribution?.(parameters, change.density) ?? [];
      // Pruning alone needs no gradient of what is missing.
      for (const [i, parameter] of parameters.entries())
        parameter.denseGradient.wanted ||= change.dropFraction > 0 || counts[i] > parameter.nnz;
    }
    if (change?.grow === "gse") this.#guided.begin(parameters, { seed: this.options.seed, step });
    if (this.#rule && !this.#explored.started) this.#explored.add(parameters);
    this.#rule?.onStepStart?.(this.#ruleContext(context), step);
    if (this.options.liveChannels === false || !parameters.some(({ sparse }) => sparse)) return;
    this.#replan(context);
    this.#live.apply(!parameters.some(({ denseGradient }) => denseGradient.wanted));
  }

  #replan({ model, imageShape }: TrainContext): void {
    const parameters = model.parameters();
    const present = parameters.map(({ sparse }) => sparse?.topology ?? null);
    if (present.length === this.#planned.length && present.every((topology, i) => topology === this.#planned[i]))
      return;
    this.#planned = present;
    this.#live.update(model, imageShape);
  }

  onBackward(): void {
    this.#guided.end();
  }

  replacesStep(step: number): boolean {
    return this.method.replacesStep === true && this.method.plan(step) !== null;
  }

  async onStepEnd(context: TrainContext, step: number): Promise<void> {
    const change = this.method.plan(step);
    if (change) await this.#change(context, change, step);
    if (this.#rule) this.#record(context, await this.#rule.onStepEnd(this.#ruleContext(context), step), step);
  }

  async #change(context: TrainContext, change: TopologyChange, step: number): Promise<void> {
    const parameters = prunable(context.parameters());
    const { seed } = this.options;
    const size = parameters.reduce((total, parameter) => total + parameter.size, 0);
    const counts =
      change.across === "network" || !this.method.distribution
        ? await magnitudeCounts(parameters, Math.floor(change.density * size + 1e-6), { seed, step })
        : this.method.distribution(parameters, change.density);
    if (!this.#explored.started) this.#explored.add(parameters);
    const { candidates } = this.#guided;
    this.#record(context, await changeTopology(parameters, { counts, change, seed, step, candidates }), step);
    this.#guided.clear();
  }

  #record({ optimizer, emit, ...context }: TrainContext, changed: readonly LayerChange[], step: number): void {
    if (changed.length === 0) return;
    for (const { parameter, from } of changed) {
      optimizer.remap(parameter, from);
      from.dispose();
    }
    this.#live.apply(false); // planned for the topology before
    const parameters = prunable(context.parameters());
    this.#explored.add(parameters);
    const dropped = changed.reduce((total, layer) => total + layer.dropped, 0);
    const grown = changed.reduce((total, layer) => total + layer.grown, 0);
    const nnz = nnzOf(parameters);
    const explored = this.#explored.rate(parameters);
    emit({ type: "topology", step, density: nnz / this.options.fullSize, nnz, dropped, grown, explored });
  }

  #ruleContext(context: TrainContext): RuleContext {
    // A view, so that what the context looks up stays looked up.
    return Object.assign(Object.create(context) as TrainContext, {
      layers: prunable(context.parameters()),
      seed: this.options.seed,
    });
  }

  onEnd(): void {
    this.#live.dispose();
    this.#guided.clear();
    this.#rule?.dispose?.();
    this.#planned = [];
  }

  report(context: TrainContext): Record<string, number> {
    const nnz = nnzOf(prunable(context.parameters()));
    return { nnz, density: nnz / this.options.fullSize };
  }

  reportEpoch(context: TrainContext): Record<string, number> {
    const { liveWeights, liveLogits, layers } = livenessOf(context.model, context.imageShape);
    if (layers.size === 0) return { liveLogits }; // dense: every weight counts
    const deadLayers = [...layers.values()].filter(({ live }) => live === 0).length;
    return { liveWeights, liveLogits, deadLayers, explored: this.#explored.rate(prunable(context.parameters())) };
  }

  final(step: number): boolean {
    return (this.method.finalAfter ?? 0) <= step;
  }

  state() {
    const rule = this.#rule?.state?.();
    const own = [...(rule?.sections ?? [])].map(([name, data]) => [`rule/${name}`, data] as const);
    return {
      ...(rule?.header && { header: rule.header }),
      sections: new Map([...this.#explored.state(), ...own]),
    };
  }

  load(_: unknown, header: JsonObject, sections: ReadonlyMap<string, SectionData>): void {
    this.#explored.load(sections);
    const own = [...sections].filter(([name]) => name.startsWith("rule/"));
    const data = new Map(own.map(([name, section]) => [name.slice("rule/".length), section]));
    this.#rule?.load?.(header as Record<string, number>, data);
  }
}

/** Parameters that sparse methods act on; each weight that is shared counts once. */
export function prunable(parameters: readonly Parameter[]): Parameter[] {
  return parameters.filter((parameter) => parameter.prunable);
}

export function nnzOf(parameters: readonly Parameter[]): number {
  return parameters.reduce((total, parameter) => total + parameter.nnz, 0);
}
