import { sortEntries } from "../entries.js";
import type { Graph, Step } from "../graph.js";

/** Numbers the planes in the order they are made, and sorts the weights of a row by (input, dy, dx). */
export function pack(graph: Graph): Graph {
  let next = graph.image.shape[0];
  const numbers = new Map<number, number>(Array.from({ length: next }, (_, plane) => [plane, plane]));
  const of = (plane: number) => numbers.get(plane) ?? -1; // of what dropped rows read
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
    const rows = step.rows.map((row) => ({
      ...row,
      plane: of(row.plane),
      residual: row.residual && { ...row.residual, plane: of(row.residual.plane) },
    }));
    return sortEntries({ ...step, rows, inputs: step.inputs.map(of) });
  });
  return { ...graph, steps };
}
