import type { Convolution, Entries, Row } from "./graph.js";
import type { Int8Convolution } from "./int8-graph.js";

/** The convolution with those of its rows' weights that `keep` says yes to. */
export function filterEntries<C extends Convolution>(step: C, keep: (row: Row, k: number) => boolean): C {
  const order: number[] = [];
  const rows = step.rows.map((row): Row => {
    const first = order.length;
    for (let k = row.first; k < row.end; k++) if (keep(row, k)) order.push(k);
    return { ...row, first, end: order.length };
  });
  return { ...step, rows, ...pick(step, order) };
}

/** The convolution with its weights row after row, those of a row by (input, dy, dx), and none besides. */
export function sortEntries<C extends Convolution | Int8Convolution>(step: C): C {
  const { inputs, dy, dx } = step;
  const order = new Int32Array(step.rows.reduce((sum, { first, end }) => sum + end - first, 0));
  let next = 0;
  const rows = step.rows.map((row) => {
    const first = next;
    for (let k = row.first; k < row.end; k++) order[next++] = k;
    order.subarray(first, next).sort((a, b) => inputs[a] - inputs[b] || dy[a] - dy[b] || dx[a] - dx[b]);
    return { ...row, first, end: next };
  });
  return { ...step, rows, ...pick(step, order) };
}

function pick({ inputs, dy, dx, weights }: Entries | Int8Convolution, order: ArrayLike<number>) {
  return {
    inputs: Int32Array.from(order, (k) => inputs[k]),
    dy: Int8Array.from(order, (k) => dy[k]),
    dx: Int8Array.from(order, (k) => dx[k]),
    weights:
      weights instanceof Int8Array
        ? Int8Array.from(order, (k) => weights[k])
        : Float32Array.from(order, (k) => weights[k]),
  };
}
