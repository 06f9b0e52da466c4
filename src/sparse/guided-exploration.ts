import type { Parameter } from "../nn/index.js";
import { sample, Tensor, Topology } from "../tensor/index.js";
import { type Candidates, complement } from "./topology.js";

/**
 * Growth without a dense gradient, after guided stochastic exploration (Heddes et al., "Always-sparse training by growing
 * connections with guided stochastic exploration", 2024): for one step, as many random missing weights as exist take part
 * with value 0, which changes no activation, and receive a gradient each. O(nnz) memory and compute.
 */
export class GuidedExploration {
  readonly #before = new Map<Parameter, Topology>();
  readonly #candidates = new Map<Parameter, Candidates>();

  /** Lets the candidates take part in the next step. */
  begin(layers: readonly Parameter[], { seed, step }: { seed: number; step: number }): void {
    for (const [stream, parameter] of layers.entries()) {
      const { topology } = parameter.sparse as { topology: Topology };
      const { indices, shape } = topology;
      const count = Math.min(indices.length, parameter.size - indices.length);
      const key = { seed, purpose: "candidate", stream, step } as const;
      const added = complement(indices, parameter.size, count, (free) => sample(key, free, count));
      this.#before.set(parameter, new Topology(shape, indices));
      this.#move(parameter, Int32Array.from([...indices, ...added]).sort());
    }
  }

  /** Takes them out again after the backward pass and keeps their gradients; the weights keep theirs. */
  end(): ReadonlyMap<Parameter, Candidates> {
    for (const [parameter, topology] of this.#before) {
      const union = (parameter.sparse as { topology: Topology }).topology.indices;
      const gradient = parameter.leaf.gradient;
      const existing = new Set(topology.indices);
      const old = Int32Array.from(union.keys()).filter((k) => existing.has(union[k]));
      const added = Int32Array.from(union.keys()).filter((k) => !existing.has(union[k]));
      const scores = gradient ? gather(gradient, added).keep() : Tensor.zeros([added.length]).keep();
      const own = gradient && gather(gradient, old).keep();
      this.#candidates.set(parameter, { positions: added.map((k) => union[k]), scores });
      this.#move(parameter, topology.indices);
      parameter.leaf.gradient = own;
    }
    this.#before.clear();
    return this.#candidates;
  }

  /** The candidates of the present step; none in others. */
  get candidates(): ReadonlyMap<Parameter, Candidates> {
    return this.#candidates;
  }

  clear(): void {
    for (const { scores } of this.#candidates.values()) scores.dispose();
    this.#candidates.clear();
  }

  #move(parameter: Parameter, indices: Int32Array): void {
    const at = new Map(
      Array.from((parameter.sparse as { topology: Topology }).topology.indices, (index, k) => [index, k]),
    );
    const from = Tensor.from(
      indices.map((index) => at.get(index) ?? -1),
      [indices.length],
      { dtype: "i32" },
    );
    parameter.remap(new Topology(parameter.shape, indices), from);
    from.dispose();
  }
}

function gather(x: Tensor, positions: Int32Array): Tensor {
  const at = Tensor.from(positions, [positions.length], { dtype: "i32" });
  const y = Tensor.empty([positions.length], { dtype: x.dtype });
  x.kernels.gather(x.buffer, at.buffer, y.buffer);
  at.dispose();
  return y;
}
