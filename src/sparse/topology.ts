import { expected } from "../errors.js";
import type { Parameter } from "../nn/index.js";
import { keyWords, type SparseTensor, sample, synchronize, Tensor, Topology } from "../tensor/index.js";
import type { TopologyChange } from "./method.js";

/** What a change did to one tensor. */
export interface LayerChange {
  readonly parameter: Parameter;
  readonly dropped: number;
  readonly grown: number;
  /** Old position of each new value, -1 for new weights (i32, on the device); the caller disposes it. */
  readonly from: Tensor;
}

export interface ChangeOptions {
  /** New nnz per parameter. */
  readonly counts: readonly number[];
  readonly change: TopologyChange;
  readonly seed: number;
  readonly step: number;
}

/**
 * Drop, then grow, per tensor (methods RigL, SET, and pruning or growing alone). Of n weights ⌈dropFraction · n⌉ of the
 * smallest magnitude leave, more if the new count asks; what is missing then comes from all other positions, so a weight
 * just dropped may return and keeps its value and optimizer state. New weights start at 0. Counts are exact; ties are
 * broken by a seeded order, so dead regions, where every score is 0, gain no bias from the storage order.
 */
export async function changeTopology(parameters: readonly Parameter[], options: ChangeOptions): Promise<LayerChange[]> {
  const { counts, change, seed, step } = options;
  const kept = parameters.map((parameter, stream) => {
    const { sparse, leaf } = parameter;
    if (!sparse) throw expected("topology", "sparse parameters", `${parameter.name}, which is dense`);
    const dropped = change.dropFraction > 0 ? Math.ceil(change.dropFraction * sparse.nnz) : 0;
    const keep = Math.min(sparse.nnz - dropped, counts[stream]);
    return topK(leaf, null, keep, { seed, purpose: "tie", stream: 2 * stream, step });
  });
  await synchronize();
  const grown = parameters.map((parameter, stream) => {
    const { indices } = topologyOf(parameter);
    const positions = kept[stream].dataSync() as Int32Array;
    kept[stream].dispose();
    const old = Int32Array.from(positions, (position) => indices[position]);
    const missing = counts[stream] - old.length;
    if (missing === 0 || change.grow === "random")
      return { old, positions: complement(old, parameter.size, { seed, stream, step }, missing) };
    const gradient = parameter.denseGradient.tensor;
    if (!gradient) throw expected("topology", `a dense gradient of ${parameter.name}`, "none");
    const excluded = Tensor.from(old, [old.length], { dtype: "i32" });
    const chosen = topK(gradient, excluded, missing, { seed, purpose: "tie", stream: 2 * stream + 1, step });
    excluded.dispose();
    return { old, positions: chosen };
  });
  await synchronize();
  return parameters.map((parameter, i) => {
    const before = topologyOf(parameter);
    const { old, positions } = grown[i];
    const fresh = positions instanceof Tensor ? (positions.dataSync() as Int32Array) : positions;
    if (positions instanceof Tensor) positions.dispose();
    const indices = Int32Array.from([...old, ...fresh]).sort();
    const from = Tensor.from(locate(before.indices, indices), [indices.length], { dtype: "i32" }).keep();
    parameter.remap(new Topology(before.shape, indices), from);
    return { parameter, dropped: before.nnz - old.length, grown: fresh.length, from };
  });
}

const topologyOf = (parameter: Parameter) => (parameter.sparse as SparseTensor).topology;

function topK(scores: Tensor, excluded: Tensor | null, k: number, key: Parameters<typeof keyWords>[0]): Tensor {
  const positions = Tensor.empty([k], { dtype: "i32", device: scores.device });
  scores.kernels.top_k(scores.buffer, excluded?.buffer ?? null, keyWords(key), positions.buffer);
  return positions;
}

/** `count` random positions of [0, size) that are not among the ascending `taken`. */
function complement(
  taken: Int32Array,
  size: number,
  key: { seed: number; stream: number; step: number },
  count: number,
): Int32Array {
  const ranks = sample({ ...key, purpose: "grow" }, size - taken.length, count);
  let passed = 0;
  return ranks.map((rank) => {
    while (passed < taken.length && taken[passed] <= rank + passed) passed++;
    return rank + passed;
  });
}

/** Position in ascending `before` of each of ascending `now`, or -1. */
function locate(before: Int32Array, now: Int32Array): Int32Array {
  let at = 0;
  return now.map((index) => {
    while (at < before.length && before[at] < index) at++;
    return before[at] === index ? at : -1;
  });
}
