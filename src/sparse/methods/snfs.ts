import { Tensor } from "../../tensor/index.js";
import type { SectionData } from "../../train/index.js";
import { erdosRenyiKernel, roundToTotal } from "../distribution.js";
import { dueEvery, scaledInterval } from "../drop-and-grow.js";
import { type MethodOptions, type RuleContext, randomTopology, type SparseMethod, type UpdateRule } from "../method.js";
import { dropFractionCosine } from "../schedule.js";
import { type LayerChange, largestMissing, rewire, taken, topK } from "../topology.js";

const MOMENTUM = 0.9;

/**
 * Sparse networks from scratch, "sparse momentum" (Dettmers and Zettlemoyer, 2019): once per published epoch a falling
 * share of each tensor leaves by magnitude; tensors share what comes in proportion to the mean momentum of their weights,
 * and it comes where the momentum of missing weights is largest. That takes a dense gradient in every step and dense momentum.
 */
export function snfs(options: MethodOptions): SparseMethod {
  const { steps, dropFraction = 0.5, distribution = erdosRenyiKernel } = options;
  const due = dueEvery(options.interval ?? scaledInterval(steps, { updates: 250, longest: 400 }), options);
  return {
    name: "snfs",
    distribution,
    initialize: randomTopology(distribution),
    plan: () => null,
    rule: () => new SparseMomentum(due, dropFractionCosine({ initial: dropFraction, steps })),
  };
}

class SparseMomentum implements UpdateRule {
  /** By name of the parameter, in its dense shape. */
  readonly #momentum = new Map<string, Tensor>();

  constructor(
    private readonly due: (step: number) => boolean,
    private readonly fraction: (step: number) => number,
  ) {}

  onStepStart({ layers }: RuleContext): void {
    for (const { denseGradient } of layers) denseGradient.wanted = true;
  }

  async onStepEnd({ layers, seed }: RuleContext, step: number): Promise<LayerChange[]> {
    for (const { name, shape, denseGradient } of layers) {
      const momentum = this.#momentum.get(name) ?? Tensor.zeros(shape).keep();
      this.#momentum.set(name, momentum);
      momentum.kernels.scale(momentum.buffer, MOMENTUM, momentum.buffer, false);
      if (denseGradient.tensor) momentum.kernels.copy(denseGradient.tensor.buffer, momentum.buffer, true);
    }
    if (!this.due(step)) return [];
    const momenta = layers.map(({ name }) => this.#momentum.get(name) as Tensor);
    const existing = layers.map(({ sparse }) => sparse?.topology.indices ?? new Int32Array(0));
    const kept = layers.map(({ leaf, nnz }, stream) => {
      const keep = nnz - Math.min(nnz - 1, Math.ceil(this.fraction(step) * nnz));
      const positions = taken(topK(leaf, null, keep, { seed, purpose: "tie", stream: 2 * stream, step }));
      return positions.map((at) => existing[stream][at]);
    });
    const means = momenta.map((momentum, i) => {
      const values = momentum.dataSync();
      return existing[i].reduce((sum, at) => sum + Math.abs(values[at]), 0) / existing[i].length;
    });
    const counts = regrown(
      means,
      layers.map(({ size }, i) => size - kept[i].length),
      existing.reduce((sum, { length }, i) => sum + length - kept[i].length, 0),
    );
    return layers.map((parameter, stream) => {
      const key = { seed, purpose: "tie", stream: 2 * stream + 1, step } as const;
      return rewire(parameter, kept[stream], taken(largestMissing(momenta[stream], kept[stream], counts[stream], key)));
    });
  }

  state() {
    return { sections: new Map([...this.#momentum].map(([name, tensor]) => [name, tensor.dataSync() as SectionData])) };
  }
  load(_: unknown, sections: ReadonlyMap<string, SectionData>): void {
    for (const [name, data] of sections)
      this.#momentum.set(name, Tensor.from(data as Float32Array, [data.length]).keep());
  }
  dispose(): void {
    for (const tensor of this.#momentum.values()) tensor.dispose();
    this.#momentum.clear();
  }
}

/** `total` in proportion to `means`, at most 99 % of the free places each (all where that is too few), the rest to the others. */
function regrown(means: readonly number[], free: readonly number[], total: number): number[] {
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  const most = free.map((places) => Math.floor(0.99 * places));
  const caps = sum(most) >= total ? most : free;
  const shares = means.map(() => 0);
  const open = new Set(means.keys());
  for (let left = total; open.size > 0 && left > 0; left = total - sum(shares)) {
    const weight = sum([...open].map((l) => means[l]));
    const full = [...open].filter(
      (l) => shares[l] + left * (weight > 0 ? means[l] / weight : 1 / open.size) >= caps[l],
    );
    for (const l of open)
      shares[l] = Math.min(caps[l], shares[l] + left * (weight > 0 ? means[l] / weight : 1 / open.size));
    if (full.length === 0) break;
    for (const l of full) open.delete(l);
  }
  return roundToTotal(shares, caps, total, 0);
}
