import type { Parameter } from "../nn/index.js";
import type { Callback, JsonObject, SectionData, TrainContext } from "../train/index.js";
import type { TopologyChange } from "./change.js";
import { Explored } from "./explored.js";
import { GuidedExploration } from "./guided-exploration.js";
import { LiveChannels } from "./live-channels.js";
import { type Liveness, livenessOf } from "./liveness.js";
import type { RuleContext, SparseMethod, UpdateRule } from "./method.js";
import { magnitudeCounts } from "./network-counts.js";
import { changeTopology, growthTie, type LayerChange, planned } from "./topology.js";

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
  #liveness: Liveness | null = null;
  /** Which topology and form that was worked out for. */
  #planned: readonly unknown[] = [];
  /** How many parameters there were when the run's events last told of it, 0 if they have yet to; and what was dead. */
  #told = 0;
  #dead: readonly string[] = [];

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
      // Counts across the network are known when the step is done; until then whole gradients are kept.
      const counts = change.across === "network" ? null : this.method.distribution?.(parameters, change.density);
      for (const [stream, { nnz, denseGradient }] of parameters.entries()) {
        if (denseGradient.wanted) continue; // others may want it whole
        const missing = counts ? planned(nnz, counts[stream], change).missing : null;
        denseGradient.wanted = missing !== 0; // pruning alone needs no gradient of what is missing
        if (missing) denseGradient.limit = { count: missing, key: growthTie(this.options.seed, stream, step) };
      }
    }
    if (change?.grow === "gse") this.#guided.begin(parameters, { seed: this.options.seed, step });
    if (this.#rule && !this.#explored.started) this.#explored.add(parameters);
    this.#rule?.onStepStart?.(this.#ruleContext(context), step);
    if (!parameters.some(({ sparse }) => sparse)) return;
    const liveness = this.#current(context);
    if (this.options.liveChannels !== false) this.#live.follow(liveness);
    // Candidates of guided growth are there for one step and are no weights.
    if (change?.grow !== "gse" && this.#told !== this.#planned.length) {
      this.#tell(liveness, context, step);
      this.#told = this.#planned.length;
    }
    this.#live.apply({ growing: parameters.some(({ denseGradient }) => denseGradient.wanted) });
  }

  /** What is live in the network's present topology and form. */
  #current({ model, imageShape }: Pick<TrainContext, "model" | "imageShape">): Liveness {
    const present = model.parameters().map(({ sparse }) => sparse?.topology ?? null);
    const same =
      present.length === this.#planned.length && present.every((topology, i) => topology === this.#planned[i]);
    if (this.#liveness && same) return this.#liveness;
    if (this.#liveness) this.#told = 0;
    this.#planned = present;
    this.#liveness = livenessOf(model, imageShape);
    return this.#liveness;
  }

  /** What is live in each layer, and a warning for what has died since the last time. */
  #tell({ liveWeights, liveLogits, layers }: Liveness, { model, emit }: TrainContext, step: number): void {
    const perLayer = model.parameters().flatMap(({ name, size, sparse }) => {
      const layer = sparse && layers.get(sparse.topology);
      return layer ? [{ name, size, ...layer }] : [];
    });
    emit({ type: "liveness", step, liveWeights, liveLogits, layers: perLayer });
    const dead = perLayer.flatMap(({ name, live }) => (live === 0 ? [name] : []));
    const fresh = dead.filter((name) => !this.#dead.includes(name));
    this.#dead = dead;
    if (fresh.length === 0) return;
    const message =
      liveLogits === 0
        ? "no logit depends on the image: too few weights are left to connect them; lower the sparsity"
        : `no weight of ${fresh.join(", ")} is on a path from image to logit`;
    emit({ type: "warning", step, message });
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
    this.#live.dispose(); // planned for the topology before
    this.#told = 0;
    const parameters = prunable(context.parameters());
    this.#explored.add(parameters);
    const dropped = changed.reduce((total, layer) => total + layer.dropped, 0);
    const grown = changed.reduce((total, layer) => total + layer.grown, 0);
    const nnz = nnzOf(parameters);
    const explored = this.#explored.rate(parameters);
    const layers = changed.map(({ parameter, dropped, grown }) => {
      const { name, nnz } = parameter;
      return { name, nnz, dropped, grown, explored: this.#explored.rate([parameter]) };
    });
    emit({ type: "topology", step, density: nnz / this.options.fullSize, nnz, dropped, grown, explored, layers });
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
    this.#liveness = null;
    this.#guided.clear();
    this.#rule?.dispose?.();
  }

  report(context: TrainContext, step: number): Record<string, number> {
    const { density, fullSize } = this.options;
    const parameters = prunable(context.parameters());
    const nnz = nnzOf(parameters);
    const stored = parameters.reduce((total, { size }) => total + size, 0);
    const target = Math.min(1, this.method.density?.(step) ?? density);
    return { nnz, density: nnz / fullSize, targetDensity: (target * stored) / fullSize };
  }

  reportEpoch(context: TrainContext): Record<string, number> {
    const { liveWeights, liveLogits, layers } = this.#current(context);
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
      header: { rule: { ...rule?.header }, told: this.#told, dead: this.#dead },
      sections: new Map([...this.#explored.state(), ...own]),
    };
  }

  load(_: unknown, header: JsonObject, sections: ReadonlyMap<string, SectionData>): void {
    this.#explored.load(sections);
    this.#told = Number(header.told ?? 0);
    this.#dead = (header.dead ?? []) as readonly string[];
    const own = [...sections].filter(([name]) => name.startsWith("rule/"));
    const data = new Map(own.map(([name, section]) => [name.slice("rule/".length), section]));
    this.#rule?.load?.((header.rule ?? {}) as Record<string, number>, data);
  }
}

/** Parameters that sparse methods act on; each weight that is shared counts once. */
export function prunable(parameters: readonly Parameter[]): Parameter[] {
  return parameters.filter((parameter) => parameter.prunable);
}

export function nnzOf(parameters: readonly Parameter[]): number {
  return parameters.reduce((total, parameter) => total + parameter.nnz, 0);
}
