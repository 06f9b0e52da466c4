import { mapBias } from "../bias.js";
import { type Convolution, type Graph, identity, type Row, reads, type Step } from "../graph.js";

/**
 * Folds a step of single pointwise weights into the convolution before it: BatchNorm, factors of shared weights, biases,
 * sums and ReLUs become scale, bias, residual and activation of the convolution, which takes the place of the folded
 * step. A sum folds into the side that nobody else reads.
 */
export function foldLinear(graph: Graph): Graph {
  const readers = countReaders(graph);
  const done: Step[] = [];
  const producer = new Map<number, { readonly step: Convolution; readonly row: Row }>();
  const record = (step: Step) => {
    done.push(step);
    if (step.op === "convolution") for (const row of step.rows) producer.set(row.plane, { step, row });
  };
  for (const step of graph.steps) {
    const folded = step.op === "convolution" ? (fold(step) ?? fold(swapped(step))) : null;
    if (!folded) {
      record(step);
      continue;
    }
    const gone = new Set(folded.before.map(({ plane }) => plane));
    const at = done.indexOf(folded.into);
    const left = folded.into.rows.filter(({ plane }) => !gone.has(plane));
    done.splice(at, 1, ...(left.length > 0 ? [{ ...folded.into, rows: left }] : []));
    for (const plane of gone) producer.delete(plane);
    record({ ...folded.into, relu: (step as Convolution).relu, rows: folded.rows });
  }
  return { ...graph, steps: done };

  /** The rows of `step` joined with those that make their inputs; null if one of them cannot be. */
  function fold(step: Convolution | null) {
    if (!step?.rows.length || step.stride !== 1) return null;
    const into = producer.get(step.rows[0].inputs[0])?.step;
    if (!into || into.relu || into.height !== step.height || into.width !== step.width) return null;
    const before: Row[] = [];
    const rows: Row[] = [];
    for (const row of step.rows) {
      if (!pointwise(row)) return null;
      const made = producer.get(row.inputs[0]);
      const factor = row.scale * row.weights[0];
      if (made?.step !== into || readers.get(row.inputs[0]) !== 1) return null;
      if (typeof row.bias !== "number" || (made.row.residual && (row.residual || factor !== 1))) return null;
      const bias = row.bias;
      before.push(made.row);
      rows.push({
        ...made.row,
        plane: row.plane,
        scale: factor * made.row.scale,
        bias: mapBias(made.row.bias, (value) => factor * value + bias),
        residual: row.residual ?? made.row.residual,
      });
    }
    return { into, before, rows };
  }
}

const pointwise = ({ inputs, dy, dx }: Row) => inputs.length === 1 && dy[0] === 0 && dx[0] === 0;

/** a + b as b + a; null for a step that is more than that. */
function swapped(step: Convolution): Convolution | null {
  const rows: Row[] = [];
  for (const row of step.rows) {
    const { residual, scale, weights } = row;
    if (!residual || !pointwise(row) || scale * weights[0] !== 1) return null;
    if (residual.offset !== 0 || residual.floor !== Number.NEGATIVE_INFINITY) return null;
    rows.push({ ...row, inputs: Int32Array.of(residual.plane), residual: identity(row.inputs[0]) });
  }
  return { ...step, rows };
}

function countReaders({ steps }: Graph): Map<number, number> {
  const readers = new Map<number, number>();
  for (const { rows } of steps)
    for (const row of rows) for (const plane of reads(row)) readers.set(plane, (readers.get(plane) ?? 0) + 1);
  return readers;
}
