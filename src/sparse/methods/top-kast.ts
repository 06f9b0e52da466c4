import type { Parameter } from "../../nn/index.js";
import { Tensor, Topology } from "../../tensor/index.js";
import type { SectionData } from "../../train/index.js";
import { erdosRenyiKernel } from "../distribution.js";
import { dueEvery } from "../drop-and-grow.js";
import type { MethodOptions, RuleContext, SparseMethod, UpdateRule } from "../method.js";
import { type LayerChange, rewire, taken, topK } from "../topology.js";

/**
 * Top-KAST (Jayakumar et al., 2020): a dense vector of weights is kept; the forward pass uses the set A of largest
 * magnitude, the backward pass updates the set B ⊃ A, twice as large, and every 100 steps both are chosen anew. L2 pulls
 * at weights of B∖A with 1/density times the strength. From the end of updates on B is A.
 */
export function topKast(options: MethodOptions): SparseMethod {
  const { density, steps, interval = 100, until = 0.95, weightDecay = 1e-4 } = options;
  const last = Math.max(1, Math.floor(until * steps));
  const backward = Math.min(1, 2 * density);
  return {
    name: "top-kast",
    initialize: (layers, _, seed) => {
      const counts = erdosRenyiKernel(layers, backward);
      return (layers as readonly Parameter[]).map((parameter, stream) => {
        const theta = Tensor.from(parameter.drawn(parameter.size), parameter.shape);
        return new Topology(parameter.shape, largest(theta, counts[stream], { seed, stream, step: 0 }));
      });
    },
    plan: () => null,
    rule: () =>
      new ForwardBackwardSets({
        density,
        backward,
        due: dueEvery(interval, options),
        last,
        decay: weightDecay / density,
      }),
    finalAfter: last,
  };
}

/** Positions of the k largest magnitudes; frees the tensor. */
function largest(theta: Tensor, k: number, key: { seed: number; stream: number; step: number }): Int32Array {
  const positions = taken(topK(theta, null, k, { ...key, purpose: "tie" }));
  theta.dispose();
  return positions;
}

interface Sets {
  /** Dense weights; those of B∖A as of the last choice. */
  readonly theta: Float32Array;
  /** In the order of B's values: 1 in A and 0 outside, the opposite, and the weights of B∖A. The trained values are 0 there. */
  readonly active: Tensor;
  readonly inactive: Tensor;
  readonly rest: Tensor;
}

interface Options {
  readonly density: number;
  readonly backward: number;
  readonly due: (step: number) => boolean;
  readonly last: number;
  readonly decay: number;
}

class ForwardBackwardSets implements UpdateRule {
  readonly #sets = new Map<Parameter, Sets>();
  #loaded: ReadonlyMap<string, SectionData> = new Map();

  constructor(private readonly options: Options) {}

  onStepStart(context: RuleContext, step: number): void {
    if (this.#sets.size > 0 || step > this.options.last) return;
    const counts = erdosRenyiKernel(context.layers, this.options.density);
    for (const [stream, parameter] of context.layers.entries()) {
      const stored = this.#loaded.get(`theta/${parameter.name}`) as Float32Array | undefined;
      const theta = stored ?? parameter.drawn(parameter.size);
      const key = { seed: context.seed, stream, step: 0 };
      const chosen =
        (this.#loaded.get(`active/${parameter.name}`) as Int32Array | undefined) ??
        largest(Tensor.from(theta, [theta.length]), counts[stream], key);
      this.#split(parameter, theta, chosen);
    }
  }

  async onStepEnd(context: RuleContext, step: number): Promise<LayerChange[]> {
    const { due, last, decay } = this.options;
    if (step > last) return [];
    for (const parameter of context.layers) {
      const { leaf } = parameter;
      const { active, inactive, rest } = this.#sets.get(parameter) as Sets;
      // What the optimizer added outside A belongs to the weights that the forward pass does not see.
      leaf.kernels.multiply(leaf.buffer, inactive.buffer, rest.buffer, true);
      leaf.kernels.multiply(leaf.buffer, active.buffer, leaf.buffer, false);
      rest.kernels.scale(rest.buffer, Math.max(0, 1 - context.learningRate * decay), rest.buffer, false);
    }
    return due(step) || step === last ? this.#choose(context, step) : [];
  }

  #choose({ layers, seed }: RuleContext, step: number): LayerChange[] {
    const { density, backward, last } = this.options;
    const [inner, outer] = [density, backward].map((at) => erdosRenyiKernel(layers, at));
    return layers.map((parameter, stream) => {
      const key = { seed, stream, step };
      const theta = this.#whole(parameter);
      const top = (k: number) => largest(Tensor.from(theta, [theta.length]), k, key);
      const chosen = top(inner[stream]);
      const set = step === last ? chosen : top(outer[stream]);
      const before = new Set(parameter.sparse?.topology.indices);
      const change = rewire(
        parameter,
        set.filter((at) => before.has(at)),
        set.filter((at) => !before.has(at)),
      );
      parameter.write(Float32Array.from(set, (at) => theta[at]));
      this.#release(parameter);
      if (step < last) this.#split(parameter, theta, chosen);
      return change;
    });
  }

  /** Takes the weights outside `chosen` out of the forward pass. */
  #split(parameter: Parameter, theta: Float32Array, chosen: Int32Array): void {
    const indices = parameter.sparse?.topology.indices ?? new Int32Array(0);
    const inside = new Set(chosen);
    const flags = Float32Array.from(indices, (at) => (inside.has(at) ? 1 : 0));
    const tensor = (values: Float32Array) => Tensor.from(values, [values.length]).keep();
    this.#sets.set(parameter, {
      theta,
      active: tensor(flags),
      inactive: tensor(flags.map((flag) => 1 - flag)),
      rest: tensor(flags.map((flag, k) => (flag ? 0 : theta[indices[k]]))),
    });
    parameter.write((parameter.leaf.dataSync() as Float32Array).map((value, k) => (flags[k] ? value : 0)));
  }

  /** The dense weights as they are now. */
  #whole(parameter: Parameter): Float32Array {
    const { theta, active, rest } = this.#sets.get(parameter) as Sets;
    const [inside, own, others] = [active, parameter.leaf, rest].map((tensor) => tensor.dataSync());
    const whole = theta.slice();
    const indices = parameter.sparse?.topology.indices ?? new Int32Array(0);
    for (const [k, at] of indices.entries()) whole[at] = inside[k] ? own[k] : others[k];
    return whole;
  }

  state() {
    const entries = [...this.#sets].flatMap(([parameter, { active }]): [string, SectionData][] => {
      const inside = active.dataSync();
      const chosen = (parameter.sparse?.topology.indices ?? new Int32Array(0)).filter((_, k) => inside[k] === 1);
      return [
        [`theta/${parameter.name}`, this.#whole(parameter)],
        [`active/${parameter.name}`, chosen],
      ];
    });
    return { sections: new Map(entries) };
  }
  load(_: unknown, sections: ReadonlyMap<string, SectionData>): void {
    this.#loaded = sections;
  }
  dispose(): void {
    for (const parameter of [...this.#sets.keys()]) this.#release(parameter);
  }
  #release(parameter: Parameter): void {
    const sets = this.#sets.get(parameter);
    for (const tensor of [sets?.active, sets?.inactive, sets?.rest]) tensor?.dispose();
    this.#sets.delete(parameter);
  }
}
