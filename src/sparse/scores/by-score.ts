import { expected } from "../../errors.js";
import type { Parameter } from "../../nn/index.js";
import { synchronize, Tensor, Topology } from "../../tensor/index.js";
import type { MethodOptions, SparseMethod, StartingNetwork } from "../method.js";
import { countsAcross } from "../network-counts.js";
import { taken, topK } from "../topology.js";
import { at } from "./products.js";
import type { TrialWeight } from "./trial.js";

/** What a score is computed from. */
export interface Scored {
  readonly network: StartingNetwork;
  readonly layers: readonly Parameter[];
  /** What is left of each tensor in this round; in the first all of it. */
  readonly weights: readonly TrialWeight[];
  /** Values of every weight of the dense network. */
  readonly dense: readonly Float32Array[];
  /** From 0. */
  readonly round: number;
}

/** How much each weight matters: one number, at least 0, per value of `weights` (or per dense weight where `returns`). */
export type Score = (scored: Scored) => Promise<readonly ArrayLike<number>[]>;

export interface Rounds {
  readonly score: Score;
  /** Density after each round; the last one is the final density. */
  readonly densities: (density: number) => readonly number[];
  /** Whether weights of earlier rounds may return: scores are then of the dense shape. */
  readonly returns?: boolean;
  readonly dtype: "f32" | "f64";
}

/**
 * A method that scores the weights of the untrained dense network, keeps the best by one threshold for the network (but
 * at least one in every tensor), and trains what is left. Needs dense memory, until training starts.
 */
export function byScore(name: string, rounds: Rounds): (options: MethodOptions) => SparseMethod {
  return () => ({
    name,
    initialize: (layers, density, seed, network) => {
      if (!network) throw expected(name, "the network whose weights it scores", "none");
      return prune(layers as readonly Parameter[], density, seed, network, rounds);
    },
    plan: () => null,
  });
}

async function prune(
  layers: readonly Parameter[],
  density: number,
  seed: number,
  network: StartingNetwork,
  { score, densities, returns = false, dtype }: Rounds,
): Promise<Topology[]> {
  const size = layers.reduce((total, layer) => total + layer.size, 0);
  const dense = layers.map((layer) => layer.drawn(layer.size));
  let weights: TrialWeight[] = dense.map((values) => ({ values, indices: null }));
  for (const [round, share] of densities(density).entries()) {
    const scores = (await score({ network, layers, weights, dense, round })).map((values) =>
      Tensor.from(values, [values.length], { dtype }),
    );
    const key = { seed, step: round };
    const counts = await countsAcross(scores, Math.floor(share * size + 1e-6), key);
    const chosen = scores.map((tensor, stream) =>
      topK(tensor, null, counts[stream], { ...key, purpose: "tie", stream }),
    );
    await synchronize();
    weights = weights.map(({ indices }, i) => {
      const best = taken(chosen[i]);
      const positions = indices && !returns ? best.map((k) => indices[k]) : best;
      return { indices: positions, values: at(dense[i], positions) };
    });
    for (const tensor of scores) tensor.dispose();
  }
  return weights.map(({ indices }, i) => new Topology(layers[i].shape, indices as Int32Array));
}
