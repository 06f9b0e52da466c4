import type { Row } from "../graph.js";

/** The row with those of its weights that `keep` says yes to. */
export function selectEntries(row: Row, keep: (k: number) => boolean): Row {
  const { weights } = row;
  const kept: number[] = [];
  for (let k = 0; k < weights.length; k++) if (keep(k)) kept.push(k);
  return kept.length === weights.length ? row : orderEntries(row, kept);
}

/** The row with the weights at `order`, in that order. */
export function orderEntries(row: Row, order: readonly number[]): Row {
  const { inputs, dy, dx, weights } = row;
  return {
    ...row,
    inputs: Int32Array.from(order, (k) => inputs[k]),
    dy: Int8Array.from(order, (k) => dy[k]),
    dx: Int8Array.from(order, (k) => dx[k]),
    weights: Float32Array.from(order, (k) => weights[k]),
  };
}
