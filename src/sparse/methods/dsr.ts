import { erdosRenyiKernel, roundToTotal } from "../distribution.js";
import { type MethodOptions, type RuleContext, randomTopology, type SparseMethod, type UpdateRule } from "../method.js";
import { complement, drawn, type LayerChange, rewire } from "../topology.js";

/**
 * Dynamic sparse reparameterization (Mostafa and Wang, 2019): one threshold for the network, which adapts so that about
 * the same number of weights leaves each time; as many come back at random, most to the tensors that kept most. Updates
 * every 100 steps, later 200, 400 and 800 (from 25, 80 and 140 of the published 200 epochs on).
 */
export function dsr(options: MethodOptions): SparseMethod {
  const { steps, interval = 100, until = 0.95, dropFraction = 0.005, distribution = erdosRenyiKernel } = options;
  const switches = [25 / 200, 80 / 200, 140 / 200];
  const due = (step: number) => {
    const doublings = switches.filter((share) => step > share * steps).length;
    return step <= until * steps && step % (interval * 2 ** doublings) === 0;
  };
  return {
    name: "dsr",
    distribution,
    initialize: randomTopology(distribution),
    plan: () => null,
    rule: () => new Reparameterization(due, dropFraction),
  };
}

class Reparameterization implements UpdateRule {
  #threshold = 1e-3;

  constructor(
    private readonly due: (step: number) => boolean,
    /** Share of all weights that should leave at an update. */
    private readonly share: number,
  ) {}

  async onStepEnd({ layers, seed }: RuleContext, step: number): Promise<LayerChange[]> {
    if (!this.due(step)) return [];
    const existing = layers.map(({ sparse }) => sparse?.topology.indices ?? new Int32Array(0));
    const kept = await Promise.all(
      layers.map(async ({ leaf }, i) => {
        const magnitudes = Float32Array.from(await leaf.data(), Math.abs);
        const largest = magnitudes.reduce((a, b) => Math.max(a, b), 0);
        const least = Math.min(this.#threshold, largest);
        return existing[i].filter((_, k) => magnitudes[k] >= least);
      }),
    );
    const total = existing.reduce((sum, { length }) => sum + length, 0);
    const survivors = kept.reduce((sum, { length }) => sum + length, 0);
    const dropped = total - survivors;
    const wanted = Math.max(1, this.share * total);
    if (dropped > 1.1 * wanted) this.#threshold /= 2;
    else if (dropped < 0.9 * wanted) this.#threshold *= 2;
    // Weights just dropped stay out, unless there is nowhere else to go.
    const free = layers.map(({ size }, i) => size - existing[i].length);
    const room = free.reduce((a, b) => a + b, 0) >= dropped;
    const places = room ? free : layers.map(({ size }, i) => size - kept[i].length);
    const shares = kept.map(({ length }) => (dropped * length) / survivors);
    const counts = roundToTotal(shares, places, dropped, 0);
    return layers.map((parameter, stream) => {
      const key = { seed, stream, step };
      const taken = room ? existing[stream] : kept[stream];
      const count = counts[stream];
      const grown = complement(taken, parameter.size, count, (ranks) => drawn(key, ranks, count));
      return rewire(parameter, kept[stream], grown);
    });
  }

  state() {
    return { header: { threshold: this.#threshold } };
  }
  load({ threshold = 1e-3 }: Readonly<Record<string, number>>): void {
    this.#threshold = threshold;
  }
}
