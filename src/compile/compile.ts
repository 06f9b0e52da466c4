import type { Module } from "../nn/index.js";
import type { Graph, ImageInput } from "./graph.js";
import { passes } from "./passes/index.js";
import { costOf, type PassReport } from "./report.js";
import { trace } from "./trace.js";

export interface Compiled {
  readonly graph: Graph;
  /** The traced network, then the graph after each pass. */
  readonly report: readonly PassReport[];
}

/**
 * Compiles a trained network for inference on single images: the graph that computes its logits in evaluation mode, with
 * nothing in it that cannot matter.
 */
export function compile(model: Module, image: ImageInput, classes: readonly string[]): Compiled {
  let graph = trace(model, image, classes);
  const report: PassReport[] = [{ pass: "trained network", ...costOf(graph) }];
  for (const { name, pass } of passes) {
    graph = pass(graph);
    report.push({ pass: name, ...costOf(graph) });
  }
  return { graph, report };
}
