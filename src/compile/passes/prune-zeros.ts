import { type Graph, mapConvolutions } from "../graph.js";
import { selectEntries } from "./select-entries.js";

/** Drops weights that are exactly zero. */
export function pruneZeros(graph: Graph): Graph {
  return mapConvolutions(graph, (step) => ({
    ...step,
    rows: step.rows.map((row) => selectEntries(row, (k) => row.scale * row.weights[k] !== 0)),
  }));
}
