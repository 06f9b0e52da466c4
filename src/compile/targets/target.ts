import type { Graph } from "../graph.js";
import type { WeightType } from "../model-file/index.js";

export interface TargetOptions {
  /** How weights are stored. */
  readonly values: WeightType;
  /** Whether ONNX gets its weights as sparse tensors, which few runtimes but ONNX Runtime read. */
  readonly onnxSparse?: boolean;
}

/** A form that a compiled network can be written in. */
export interface Target {
  readonly name: string;
  readonly description: string;
  /** Of its files. */
  readonly extension: string;
  /** The file for a graph that all passes have run over. */
  emit(graph: Graph, options: TargetOptions): Uint8Array;
}
