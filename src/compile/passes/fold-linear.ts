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
    const into = producer.get(step.inputs[step.rows[0].first])?.step;
    if (!into || into.relu || into.height !== step.height || into.width !== step.width) return null;
    const before: Row[] = [];
    const rows: Row[] = [];
    for (const row of step.rows) {
      if (!pointwise(step, row)) return null;
      const input = step.inputs[row.first];
      const made = producer.get(input);
      const factor = row.scale * step.weights[row.first];
      if (made?.step !== into || readers.get(input) !== 1) return null;
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

const pointwise = ({ dy, dx }: Convolution, { first, end }: Row) =>
  end - first === 1 && dy[first] === 0 && dx[first] === 0;

/** a + b as b + a; null for a step that is more than that. */
function swapped(step: Convolution): Convolution | null {
  const inputs = step.inputs.slice();
  const rows: Row[] = [];
  for (const row of step.rows) {
    const { residual, scale, first } = row;
    if (!residual || !pointwise(step, row) || scale * step.weights[first] !== 1) return null;
    if (residual.offset !== 0 || residual.floor !== Number.NEGATIVE_INFINITY) return null;
    inputs[first] = residual.plane;
    rows.push({ ...row, residual: identity(step.inputs[first]) });
  }
  return { ...step, rows, inputs };
}

function countReaders({ steps }: Graph): Map<number, number> {
  const readers = new Map<number, number>();
  for (const step of steps)
    for (const row of step.rows)
      for (const plane of reads(step, row)) readers.set(plane, (readers.get(plane) ?? 0) + 1);
  return readers;
}
