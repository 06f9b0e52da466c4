import { type Graph, logitsOf, reads, type Step } from "../graph.js";

/** Drops the channels that no logit depends on. */
export function dropUnneeded(graph: Graph): Graph {
  const needed = new Set(logitsOf(graph).rows.map(({ plane }) => plane));
  const steps: Step[] = [];
  for (const step of graph.steps.toReversed()) {
    const rows = step.rows.filter(({ plane }) => needed.has(plane));
    for (const row of rows) for (const plane of reads(step, row)) needed.add(plane);
    if (rows.length > 0) steps.unshift({ ...step, rows } as Step);
  }
  return { ...graph, steps };
}
