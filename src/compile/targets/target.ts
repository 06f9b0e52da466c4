import type { Graph } from "../graph.js";
import type { Int8Graph } from "../int8-graph.js";
import type { WeightType } from "../model-file/index.js";

export interface TargetOptions {
  /** How weights are stored. */
  readonly values: WeightType;
  /** Whether ONNX gets its weights as sparse tensors, which few runtimes but ONNX Runtime read. */
  readonly onnxSparse?: boolean;
  /** The graph in integers, which is written in place of the other. */
  readonly int8?: Int8Graph;
  /** What the model is called where its form has names in it; "model" by default. */
  readonly name?: string;
}

/** A form that a compiled network can be written in. */
export interface Target {
  readonly name: string;
  readonly description: string;
  /** Of its files. */
  readonly extension: string;
  /** Whether it can hold a graph in integers. */
  readonly int8: boolean;
  /** The file for a graph that all passes have run over. */
  emit(graph: Graph, options: TargetOptions): Uint8Array;
  /** What its users need to know beforehand, by line: what, how much. */
  facts?(graph: Graph, options: TargetOptions): readonly (readonly [string, string])[];
}
