import { expected } from "../errors.js";
import type { Parameter } from "../nn/index.js";
import { synchronize, Tensor } from "../tensor/index.js";
import { taken, topK } from "./topology.js";

type TieKey = { readonly seed: number; readonly step: number };

/**
 * How many entries each tensor keeps of the `total` largest |scores| of all together: one threshold for the network, with
 * at least one entry (its largest) for every tensor, so that none dies unseen.
 */
export async function countsAcross(scores: readonly Tensor[], total: number, key: TieKey): Promise<number[]> {
  if (total < scores.length)
    throw expected(
      "counts",
      `at least one weight for each of ${scores.length} tensors`,
      total,
      "choose a larger density",
      "EASTING_DENSITY",
    );
  const sizes = scores.map(({ size }) => size);
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0));
  const size = sizes.reduce((a, b) => a + b, 0);
  const best = scores.map((tensor, stream) => topK(tensor, null, 1, { ...key, purpose: "tie", stream: 2 * stream }));
  await synchronize();
  const reserved = Int32Array.from(best, (tensor, i) => starts[i] + taken(tensor)[0]);
  const [{ dtype }] = scores;
  const joined = dtype === "f64" ? new Float64Array(size) : new Float32Array(size);
  for (const [i, tensor] of scores.entries()) joined.set(tensor.dataSync(), starts[i]);
  const all = Tensor.from(joined, [size], { dtype });
  const excluded = Tensor.from(reserved, [reserved.length], { dtype: "i32" });
  const chosen = topK(all, excluded, Math.max(0, total - reserved.length), { ...key, purpose: "tie" });
  await synchronize();
  const counts = scores.map(() => 1);
  let layer = 0;
  for (const position of taken(chosen)) {
    while (position >= starts[layer] + sizes[layer]) layer++;
    counts[layer]++;
  }
  all.dispose();
  excluded.dispose();
  return counts;
}

/** Counts of the `total` largest weights by magnitude, or of all where there are no more. */
export function magnitudeCounts(parameters: readonly Parameter[], total: number, key: TieKey): Promise<number[]> {
  const existing = parameters.reduce((sum, { nnz }) => sum + nnz, 0);
  return countsAcross(
    parameters.map(({ leaf }) => leaf),
    Math.min(total, existing),
    key,
  );
}
