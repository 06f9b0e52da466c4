import type { Graph, Row, Step } from "../graph.js";
import { orderEntries } from "./select-entries.js";

/** Numbers the planes in the order they are made, and sorts the weights of a row by (input, dy, dx). */
export function pack(graph: Graph): Graph {
  let next = graph.image.shape[0];
  const numbers = new Map<number, number>(Array.from({ length: next }, (_, plane) => [plane, plane]));
  const of = (plane: number) => numbers.get(plane) as number;
  const steps = graph.steps.map((step): Step => {
    for (const { plane } of step.rows) numbers.set(plane, next++);
    if (step.op === "maxPool")
      return { ...step, rows: step.rows.map((row) => ({ ...row, plane: of(row.plane), input: of(row.input) })) };
    if (step.op === "averagePool")
      return {
        ...step,
        rows: step.rows.map((row) => ({
          ...row,
          plane: of(row.plane),
          input: { ...row.input, plane: of(row.input.plane) },
        })),
      };
    const rows = step.rows.map(
      (row): Row =>
        sorted({
          ...row,
          plane: of(row.plane),
          inputs: row.inputs.map(of),
          residual: row.residual && { ...row.residual, plane: of(row.residual.plane) },
        }),
    );
    return { ...step, rows };
  });
  return { ...graph, steps };
}

function sorted(row: Row): Row {
  const { inputs, dy, dx } = row;
  const order = Array.from(inputs.keys()).sort((a, b) => inputs[a] - inputs[b] || dy[a] - dy[b] || dx[a] - dx[b]);
  return orderEntries(row, order);
}
