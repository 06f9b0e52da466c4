import type { Parameter } from "../../nn/index.js";
import { noGradient, scope, synchronize, Tensor } from "../../tensor/index.js";
import type { SectionData } from "../../train/index.js";
import type { MethodOptions, RuleContext, SparseMethod, UpdateRule } from "../method.js";
import { countsAcross } from "../network-counts.js";
import { type LayerChange, rewire, taken, topK } from "../topology.js";
import { rigl } from "./rigl.js";

const CYCLES = 3;

/**
 * Sup-tickets (Yin et al., "Superposing many tickets into one", 2022) over RigL: the last 24/250 of the run are three
 * cycles; each begins with an exchange of half the weights, keeps its topology, and its learning rate rises and falls
 * between 0.001 and 0.005. The weights at the ends of the cycles are averaged, the average is pruned to the density by one
 * threshold for the network, and BatchNorm's statistics are taken anew over the training images.
 */
export function supTickets(options: MethodOptions): SparseMethod {
  const { density, steps } = options;
  const inner = rigl(options);
  const length = Math.max(1, Math.floor((8 / 250) * steps));
  const start = Math.max(0, steps - CYCLES * length);
  const position = (step: number) => (step - start - 1) % length;
  return {
    ...inner,
    name: "sup-tickets",
    plan: (step) => {
      if (step <= start) return inner.plan(step);
      // After the first step of a cycle: its end averages what the last one left.
      return position(step) === 0 && step < steps
        ? { density, dropFraction: 0.5, drop: "magnitude", grow: "gradient" }
        : null;
    },
    learningRate: (step, ofRun) => {
      if (step <= start) return ofRun;
      const share = position(step) / length;
      return 0.001 + 0.004 * (1 - Math.abs(2 * share - 1));
    },
    rule: () => new Superposition((step) => step > start && position(step) === length - 1, steps, density),
    finalAfter: steps,
  };
}

class Superposition implements UpdateRule {
  /** Sums over the tickets so far, by parameter: flat position to value. */
  readonly #sums = new Map<string, Map<number, number>>();
  #tickets = 0;

  constructor(
    private readonly due: (step: number) => boolean,
    private readonly last: number,
    private readonly density: number,
  ) {}

  async onStepEnd(context: RuleContext, step: number): Promise<LayerChange[]> {
    if (!this.due(step)) return [];
    const parameters = context.parameters();
    await synchronize();
    for (const parameter of parameters) this.#add(parameter);
    this.#tickets++;
    if (step < this.last) return [];
    for (const parameter of parameters)
      if (!parameter.sparse) parameter.write(Array.from(this.#average(parameter).values()));
    const changed = await this.#prune(context, step);
    await renewStatistics(context);
    return changed;
  }

  #add({ name, sparse, leaf }: Parameter): void {
    const sums = this.#sums.get(name) ?? new Map<number, number>();
    this.#sums.set(name, sums);
    const indices = sparse?.topology.indices;
    for (const [k, value] of leaf.dataSync().entries()) {
      const at = indices ? indices[k] : k;
      sums.set(at, (sums.get(at) ?? 0) + value);
    }
  }

  /** Ascending by position. */
  #average({ name }: Parameter): Map<number, number> {
    const sums = [...(this.#sums.get(name) ?? [])].sort(([a], [b]) => a - b);
    return new Map(sums.map(([at, sum]) => [at, sum / this.#tickets]));
  }

  async #prune({ layers, seed }: RuleContext, step: number): Promise<LayerChange[]> {
    const averages = layers.map((parameter) => this.#average(parameter));
    const values = averages.map((average) => Tensor.from([...average.values()], [average.size]));
    const size = layers.reduce((total, layer) => total + layer.size, 0);
    const counts = await countsAcross(values, Math.floor(this.density * size + 1e-6), { seed, step });
    return layers.map((parameter, stream) => {
      const chosen = taken(topK(values[stream], null, counts[stream], { seed, purpose: "tie", stream, step }));
      values[stream].dispose();
      const places = [...averages[stream].keys()];
      const positions = chosen.map((k) => places[k]);
      const before = new Set(parameter.sparse?.topology.indices);
      const change = rewire(
        parameter,
        positions.filter((at) => before.has(at)),
        positions.filter((at) => !before.has(at)),
      );
      parameter.write(Float32Array.from(positions, (at) => averages[stream].get(at) as number));
      return change;
    });
  }

  state() {
    const sections = new Map<string, SectionData>();
    for (const [name, sums] of this.#sums) {
      const sorted = [...sums].sort(([a], [b]) => a - b);
      sections.set(
        `places/${name}`,
        Int32Array.from(sorted, ([at]) => at),
      );
      sections.set(
        `sums/${name}`,
        Float64Array.from(sorted, ([, sum]) => sum),
      );
    }
    return { header: { tickets: this.#tickets }, sections };
  }
  load({ tickets = 0 }: Readonly<Record<string, number>>, sections: ReadonlyMap<string, SectionData>): void {
    this.#tickets = tickets;
    for (const [key, places] of sections) {
      if (!key.startsWith("places/")) continue;
      const name = key.slice("places/".length);
      const sums = sections.get(`sums/${name}`) as Float64Array;
      this.#sums.set(name, new Map(Array.from(places as Int32Array, (at, k) => [at, sums[k]])));
    }
  }
}

/** One pass over the training images for BatchNorm's running statistics alone. */
async function renewStatistics({ model, loader }: RuleContext): Promise<void> {
  if (!loader) return;
  for (let index = 0; index < loader.stepsPerEpoch; index++) {
    const { images, labels } = await loader.train(0, index);
    scope(() => noGradient(() => model.forward(images).materialize()));
    await synchronize();
    images.dispose();
    labels.dispose();
  }
}
