import { filterEntries } from "../entries.js";
import { type Graph, mapConvolutions } from "../graph.js";

/** Drops weights that are exactly zero. */
export function pruneZeros(graph: Graph): Graph {
  return mapConvolutions(graph, (step) => filterEntries(step, (row, k) => row.scale * step.weights[k] !== 0));
}
