import { expected } from "../errors.js";
import type { Parameter } from "../nn/index.js";
import { keyWords, type LargestGradients, randomBits, sample, synchronize, Tensor, Topology } from "../tensor/index.js";
import type { TopologyChange } from "./change.js";

/** What a change did to one tensor. */
export interface LayerChange {
  readonly parameter: Parameter;
  readonly dropped: number;
  readonly grown: number;
  /** Old position of each new value, -1 for new weights (i32, on the device); the caller disposes it. */
  readonly from: Tensor;
}

/** Places that may grow, ascending, and the score of each. */
export interface Candidates {
  readonly positions: Int32Array;
  readonly scores: Tensor;
}

export interface ChangeOptions {
  /** New nnz per parameter. */
  readonly counts: readonly number[];
  readonly change: TopologyChange;
  readonly seed: number;
  readonly step: number;
  /** Per parameter, for growth among a few. */
  readonly candidates?: ReadonlyMap<Parameter, Candidates>;
}

/**
 * Drop, then grow, per tensor (methods RigL, SET, and pruning or growing alone). Where the count falls the smallest
 * magnitudes leave; of the n weights left another ⌈dropFraction · n⌉ leave as well; what is missing then comes from all
 * other positions, so a weight just dropped may return and keeps its value and optimizer state. New weights start at 0.
 * Counts are exact, unless growth is by chance; ties are broken by a seeded order, so dead regions, where every score is
 * 0, gain no bias from the storage order.
 */
export async function changeTopology(parameters: readonly Parameter[], options: ChangeOptions): Promise<LayerChange[]> {
  const { counts, change, seed, step } = options;
  const kept = parameters.map((parameter, stream) => {
    const plan = planned(parameter.nnz, counts[stream], change);
    if (!parameter.sparse && plan.missing > 0)
      throw expected("topology", "sparse parameters", `${parameter.name}, which is dense`);
    // No more may leave than there are places to grow at.
    const room = change.grow === "gse" ? (options.candidates?.get(parameter)?.positions.length ?? 0) : Infinity;
    const keep = Math.max(plan.keep, Math.min(parameter.nnz, counts[stream], counts[stream] - room));
    return topK(parameter.leaf, null, keep, { seed, purpose: "tie", stream: 2 * stream, step });
  });
  await synchronize();
  const grown = parameters.map((parameter, stream) => {
    const positions = taken(kept[stream]);
    const indices = parameter.sparse?.topology.indices;
    const old = indices ? Int32Array.from(positions, (position) => indices[position]) : positions;
    const missing = (drifts(change) ? parameter.nnz : counts[stream]) - old.length;
    const key = { seed, stream, step };
    if (missing === 0 || change.grow === "random")
      return { old, positions: complement(old, parameter.size, missing, (free) => drawn(key, free, missing)) };
    if (change.grow === "bernoulli")
      return { old, positions: complement(old, parameter.size, missing, (free) => byChance(key, free, missing)) };
    const tie = growthTie(seed, stream, step);
    if (change.grow === "gse") {
      const candidates = options.candidates?.get(parameter);
      if (!candidates) throw expected("topology", `candidates for ${parameter.name}`, "none");
      return { old, positions: topK(candidates.scores, null, missing, tie), among: candidates.positions };
    }
    const { denseGradient } = parameter;
    if (denseGradient.tensor) return { old, positions: largestMissing(denseGradient.tensor, old, missing, tie) };
    const few = denseGradient.candidates();
    if (!few || missing > (denseGradient.limit?.count ?? 0))
      throw expected("topology", `a dense gradient of ${parameter.name}`, "none");
    return { old, positions: largestAmong(few, old, missing, tie), among: few.positions };
  });
  await synchronize();
  return parameters.map((parameter, i) => {
    const { old, positions, among } = grown[i];
    const chosen = positions instanceof Tensor ? taken(positions) : positions;
    return rewire(parameter, old, among ? chosen.map((at) => among[at]) : chosen);
  });
}

/** How many weights of a tensor of `nnz` the change keeps, and how many then come. */
export function planned(nnz: number, count: number, change: TopologyChange) {
  const left = drifts(change) ? nnz : Math.min(nnz, count);
  const replaced = (change.rounding === "down" ? Math.floor : Math.ceil)(change.dropFraction * left);
  return { keep: left - replaced, missing: (drifts(change) ? nnz : count) - left + replaced };
}

/** The order in which equal scores of growth come, by the tensor's number. */
export const growthTie = (seed: number, stream: number, step: number) =>
  ({ seed, purpose: "tie", stream: 2 * stream + 1, step }) as const;

/** By chance as many come as left, on average: counts go their own way, unless one threshold sets them. */
const drifts = ({ grow, across }: TopologyChange) => grow === "bernoulli" && across !== "network";

/** Gives a parameter the weights at `kept` positions that it has, and new ones (0) at `grown`; no position twice. */
export function rewire(parameter: Parameter, kept: Int32Array, grown: Int32Array): LayerChange {
  const before = parameter.nnz;
  const indices = new Int32Array(kept.length + grown.length);
  indices.set(kept);
  indices.set(grown, kept.length);
  indices.sort();
  const existing = parameter.sparse?.topology.indices;
  const positions = existing ? locate(existing, indices) : indices;
  const from = Tensor.from(positions, [indices.length], { dtype: "i32" }).keep();
  parameter.remap(new Topology(parameter.shape, indices), from);
  return { parameter, dropped: before - kept.length, grown: grown.length, from };
}

type TieKey = Parameters<typeof keyWords>[0];

/** Positions of the `k` largest |scores| outside the ascending `excluded`, ascending (i32); ties by the order of `key`. */
export function topK(
  scores: Tensor,
  excluded: Tensor | null,
  k: number,
  key: TieKey,
  identity: Tensor | null = null,
): Tensor {
  const positions = Tensor.empty([k], { dtype: "i32", device: scores.device });
  // biome-ignore format: the kernel's argument order
  scores.kernels.top_k(scores.buffer, identity?.buffer ?? null, excluded?.buffer ?? null, keyWords(key), positions.buffer);
  return positions;
}

/** Places in `positions` of the `k` largest |scores| but for those at `existing`, chosen as from the whole tensor. */
function largestAmong({ positions, scores }: LargestGradients, existing: Int32Array, k: number, key: TieKey): Tensor {
  const whole = (numbers: Int32Array) => Tensor.from(numbers, [numbers.length], { dtype: "i32" });
  const [identity, excluded] = [whole(positions), whole(locate(positions, existing))];
  const values = Tensor.from(scores, [scores.length], { dtype: "f64" });
  const chosen = topK(values, excluded, k, key, identity);
  for (const tensor of [identity, excluded, values]) tensor.dispose();
  return chosen;
}

/** As `topK`, outside of positions on the host. */
export function largestMissing(scores: Tensor, existing: Int32Array, k: number, key: TieKey): Tensor {
  const excluded = Tensor.from(existing, [existing.length], { dtype: "i32" });
  const chosen = topK(scores, excluded, k, key);
  excluded.dispose();
  return chosen;
}

/** The whole numbers in a tensor, which is freed. */
export function taken(positions: Tensor): Int32Array {
  const data = positions.dataSync() as Int32Array;
  positions.dispose();
  return data;
}

/** Positions of [0, size) that are not among the ascending `taken`, as many and in the order that `choose` ranks them. */
export function complement(
  existing: Int32Array,
  size: number,
  count: number,
  choose: (free: number) => Int32Array,
): Int32Array {
  if (count === 0) return new Int32Array(0);
  let passed = 0;
  return choose(size - existing.length).map((rank) => {
    while (passed < existing.length && existing[passed] <= rank + passed) passed++;
    return rank + passed;
  });
}

interface Draw {
  readonly seed: number;
  readonly stream: number;
  readonly step: number;
}

/** `count` of `free` ranks, ascending, every subset equally likely. */
export const drawn = (key: Draw, free: number, count: number) => sample({ ...key, purpose: "grow" }, free, count);

/** Each of `free` ranks with probability count / free, ascending: gaps between them follow the geometric distribution. */
function byChance(key: Draw, free: number, count: number): Int32Array {
  const spread = count + 8 * Math.ceil(Math.sqrt(count)) + 8; // more than are ever drawn
  const words = randomBits({ ...key, purpose: "grow" }, spread);
  const chosen: number[] = [];
  const log = Math.log1p(-Math.min(count / free, 1 - 2 ** -32));
  for (let at = -1, i = 0; i < spread; i++) {
    at += 1 + Math.floor(Math.log((words[i] + 0.5) / 2 ** 32) / log);
    if (at >= free) break;
    chosen.push(at);
  }
  return Int32Array.from(chosen);
}

/** Position in ascending `before` of each of ascending `now`, or -1. */
function locate(before: Int32Array, now: Int32Array): Int32Array {
  let at = 0;
  return now.map((index) => {
    while (at < before.length && before[at] < index) at++;
    return before[at] === index ? at : -1;
  });
}
