import type { Parameter } from "../../nn/index.js";
import { synchronize, Tensor } from "../../tensor/index.js";
import type { SectionData } from "../../train/index.js";
import { erdosRenyiKernel } from "../distribution.js";
import { dueEvery, scaledInterval } from "../drop-and-grow.js";
import { type MethodOptions, type RuleContext, randomTopology, type SparseMethod, type UpdateRule } from "../method.js";
import { magnitudeCounts } from "../network-counts.js";
import { dropFractionCosine } from "../schedule.js";
import { type LayerChange, largestMissing, rewire, taken, topK } from "../topology.js";

/** Share of the output channels that are deleted, and the part of what is left that every tensor keeps at least. */
const CHANNEL_SPARSITY = 0.5;
const CHANNEL_FLOOR = 0.5;

/**
 * Chase (Yin et al., "Dynamic sparsity is channel-level sparsity learner", 2023). Until 130/160 of the run one threshold for
 * the network prunes to the density and the largest gradients of the network grow beyond it, by half at first and by
 * nothing in the end; halfway between these updates, output channels of the smallest mean magnitude are deleted for
 * good, by a cubic schedule. Afterwards each tensor exchanges weights as RigL does, outside of deleted channels.
 */
export function chase(options: MethodOptions): SparseMethod {
  const { density, steps, dropFraction = 0.5, distribution = erdosRenyiKernel } = options;
  const interval = options.interval ?? scaledInterval(steps, { updates: 62, longest: 1000 });
  const settled = Math.max(1, Math.round((130 / 160) * steps));
  return {
    name: "chase",
    distribution,
    initialize: randomTopology(distribution),
    plan: () => null,
    rule: () =>
      new ChannelRule({
        density,
        due: dueEvery(interval, options),
        deletes: (step) => step < settled && (step + Math.floor(interval / 2)) % interval === 0,
        settled,
        soft: (step) => (step >= settled ? 0 : 0.25 * (1 + Math.cos((Math.PI * step) / settled))),
        channels: (step) => CHANNEL_SPARSITY * (1 - (1 - Math.min(1, step / settled)) ** 3),
        fraction: dropFractionCosine({ initial: dropFraction, steps }),
      }),
    finalAfter: settled,
  };
}

interface Schedules {
  readonly density: number;
  readonly due: (step: number) => boolean;
  readonly deletes: (step: number) => boolean;
  readonly settled: number;
  /** Weights beyond the density, as a share of it. */
  readonly soft: (step: number) => number;
  readonly channels: (step: number) => number;
  readonly fraction: (step: number) => number;
}

class ChannelRule implements UpdateRule {
  /** By parameter, 1 for each output channel that is gone. */
  readonly #deleted = new Map<string, Uint8Array>();

  constructor(private readonly schedules: Schedules) {}

  #updates(step: number): boolean {
    return this.schedules.due(step) || step === this.schedules.settled;
  }

  onStepStart({ layers }: RuleContext, step: number): void {
    if (this.#updates(step)) for (const { denseGradient } of layers) denseGradient.wanted = true;
  }

  async onStepEnd(context: RuleContext, step: number): Promise<readonly LayerChange[]> {
    const { settled, deletes, fraction } = this.schedules;
    await synchronize();
    if (deletes(step)) return this.#delete(context, step);
    if (!this.#updates(step)) return [];
    const { layers, seed } = context;
    if (step > settled) {
      const dropped = layers.map(({ nnz }) => Math.ceil(fraction(step) * nnz));
      const kept = this.#kept(
        context,
        step,
        layers.map(({ nnz }, i) => nnz - dropped[i]),
      );
      return layers.map((layer, i) => rewire(layer, kept[i], this.#best(context, step, i, kept[i], dropped[i])));
    }
    const budget = Math.floor(this.schedules.density * layers.reduce((sum, { size }) => sum + size, 0) + 1e-6);
    const kept = this.#kept(context, step, await magnitudeCounts(layers, budget, { seed, step }));
    const total = Math.floor(budget * (1 + this.schedules.soft(step)));
    const missing = total - kept.reduce((sum, { length }) => sum + length, 0);
    const grown = this.#bestOfAll(context, step, kept, missing);
    return layers.map((layer, i) => rewire(layer, kept[i], grown[i]));
  }

  /** Positions of the largest magnitudes of each tensor, ascending. */
  #kept({ layers, seed }: RuleContext, step: number, counts: readonly number[]): Int32Array[] {
    return layers.map(({ leaf, sparse }, stream) => {
      const existing = sparse?.topology.indices ?? new Int32Array(0);
      return taken(topK(leaf, null, counts[stream], this.#tie(seed, stream, step))).map((k) => existing[k]);
    });
  }

  /** Positions of the `count` largest gradients of one tensor outside of `kept` and of deleted channels. */
  #best({ layers, seed }: RuleContext, step: number, stream: number, kept: Int32Array, count: number): Int32Array {
    const closed = this.#closed(layers[stream]);
    const excluded = new Int32Array(kept.length + closed.length);
    excluded.set(kept);
    excluded.set(closed, kept.length);
    const gradient = layers[stream].denseGradient.tensor as Tensor;
    const room = gradient.size - excluded.length;
    return taken(largestMissing(gradient, excluded.sort(), Math.min(count, room), this.#tie(seed, stream, step)));
  }

  /** The `count` largest gradients of all tensors together, as positions of each. */
  #bestOfAll(context: RuleContext, step: number, kept: readonly Int32Array[], count: number): Int32Array[] {
    const { layers, seed } = context;
    if (count <= 0) return layers.map(() => new Int32Array(0));
    const candidates = layers.map((_, stream) => this.#best(context, step, stream, kept[stream], count));
    const starts = candidates.map((_, l) => candidates.slice(0, l).reduce((sum, { length }) => sum + length, 0));
    const scores = candidates.flatMap((places, l) => {
      const gradient = (layers[l].denseGradient.tensor as Tensor).dataSync();
      return Array.from(places, (place) => gradient[place]);
    });
    const all = Tensor.from(scores, [scores.length]);
    const chosen = taken(topK(all, null, Math.min(count, scores.length), this.#tie(seed, layers.length, step)));
    all.dispose();
    return candidates.map((places, l) =>
      chosen.filter((k) => k >= starts[l] && k < starts[l] + places.length).map((k) => places[k - starts[l]]),
    );
  }

  /** Deletes channels until as many are gone as the schedule says, or none may go. */
  #delete({ layers }: RuleContext, step: number): LayerChange[] {
    const convolutions = layers.filter(({ shape }) => shape.length === 4);
    const widths = convolutions.map(({ shape }) => shape[0]);
    const ranked = convolutions
      .flatMap((parameter, layer) =>
        rowSums(parameter).map((sum, row) => ({ layer, row, sum: sum / rowSize(parameter) })),
      )
      .sort((a, b) => a.sum - b.sum);
    const flags = convolutions.map(({ name }, i) => this.#deleted.get(name) ?? new Uint8Array(widths[i]));
    const alive = flags.map((gone) => gone.reduce((count, flag) => count - flag, gone.length));
    const least = widths.map((width) => Math.max(1, Math.ceil(CHANNEL_FLOOR * (1 - CHANNEL_SPARSITY) * width)));
    const left = convolutions.map(({ nnz }) => nnz);
    const perRow = convolutions.map(rowCounts);
    let wanted = Math.floor(this.schedules.channels(step) * widths.reduce((a, b) => a + b, 0));
    wanted -= flags.reduce((sum, gone) => sum + gone.reduce((a, b) => a + b, 0), 0);
    for (const { layer, row } of ranked) {
      if (wanted <= 0) break;
      const weights = perRow[layer][row];
      if (flags[layer][row] || alive[layer] <= least[layer] || left[layer] <= weights) continue;
      flags[layer][row] = 1;
      alive[layer]--;
      left[layer] -= weights;
      wanted--;
    }
    return convolutions.flatMap((parameter, i) => {
      this.#deleted.set(parameter.name, flags[i]);
      const existing = parameter.sparse?.topology.indices ?? new Int32Array(0);
      const kept = existing.filter((at) => !flags[i][Math.floor(at / rowSize(parameter))]);
      return kept.length < existing.length ? [rewire(parameter, kept, new Int32Array(0))] : [];
    });
  }

  /** Positions in deleted channels, ascending. */
  #closed(parameter: Parameter): Int32Array {
    const gone = this.#deleted.get(parameter.name);
    if (!gone) return new Int32Array(0);
    const size = rowSize(parameter);
    const rows = [...gone.keys()].filter((row) => gone[row]);
    return Int32Array.from({ length: rows.length * size }, (_, k) => rows[Math.floor(k / size)] * size + (k % size));
  }

  #tie(seed: number, stream: number, step: number) {
    return { seed, purpose: "tie", stream, step } as const;
  }

  state() {
    return { sections: new Map([...this.#deleted] as [string, SectionData][]) };
  }
  load(_: unknown, sections: ReadonlyMap<string, SectionData>): void {
    for (const [name, gone] of sections) this.#deleted.set(name, Uint8Array.from(gone));
  }
}

const rowSize = ({ size, shape }: Parameter) => size / shape[0];

function rowSums(parameter: Parameter): number[] {
  const sums = new Array<number>(parameter.shape[0]).fill(0);
  const values = parameter.leaf.dataSync();
  for (const [k, at] of (parameter.sparse?.topology.indices ?? []).entries())
    sums[Math.floor(at / rowSize(parameter))] += Math.abs(values[k]);
  return sums;
}

function rowCounts(parameter: Parameter): number[] {
  const counts = new Array<number>(parameter.shape[0]).fill(0);
  for (const at of parameter.sparse?.topology.indices ?? []) counts[Math.floor(at / rowSize(parameter))]++;
  return counts;
}
