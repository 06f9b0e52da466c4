import { expected } from "../../errors.js";
import { imageZero } from "../calibrate.js";
import type { Graph, Step } from "../graph.js";
import type { Int8Graph, Int8Step } from "../int8-graph.js";
import { decodeConvolution } from "./decode-convolution.js";
import { decodeAveragePool, decodeMaxPool } from "./decode-pool.js";
import { limits, MAGIC, op, type ValueType } from "./format.js";
import { PlaneList } from "./plane-list.js";
import { decodeTensor } from "./shared-tensor.js";
import { ModelSource } from "./source.js";

/**
 * The graph in a model file, shared weights written out. Every size is checked before it is used; what is read takes at
 * most 4 times the file and 16 MB. `where` names the file in errors, whose code is EASTING_MODEL_FILE.
 */
export function decodeModel(bytes: Uint8Array, where = "model file"): Graph {
  const { graph } = openModel(bytes, where);
  if ("zeros" in graph)
    throw expected(where, "weights in f32 or f16", "int8", "openModel reads those too", "EASTING_MODEL_FILE");
  return graph;
}

export interface ModelFile {
  /** In integers if it has `zeros`. */
  readonly graph: Graph | Int8Graph;
  readonly values: ValueType;
  /** Bytes of each part; header and checksum make up the rest. */
  readonly parts: { readonly numbers: number; readonly weights: number; readonly structure: number };
}

/** As `decodeModel`, with what is known of the file itself. */
export function openModel(bytes: Uint8Array, where = "model file"): ModelFile {
  const source = new ModelSource(bytes, where);
  const graph = decode(source);
  return { graph, values: source.values, parts: source.parts };
}

/** Whether a file is a model file by its first bytes. */
export const isModel = (bytes: Uint8Array): boolean =>
  new TextDecoder("latin1").decode(bytes.subarray(0, MAGIC.length)) === MAGIC;

function decode(source: ModelSource): Graph | Int8Graph {
  const { structure } = source;
  const planes = new PlaneList(source);
  const channels = structure.positive("header", "channels", source.planes);
  const height = structure.positive("header", "height", limits.extent);
  const width = structure.positive("header", "width", limits.extent);
  const mean = Array.from({ length: channels }, () => source.number());
  const std = Array.from({ length: channels }, () => source.number());
  const wrong = std.find((value) => value <= 0);
  if (wrong !== undefined) throw source.fail("standard deviations above 0", wrong);
  for (const value of mean) planes.add({ height, width }, imageZero(value));
  const image = { shape: [channels, height, width], mean, std } as const;
  const logitScale = source.values === "int8" ? source.number() : 1;
  const classes = decodeClasses(source);
  const tensors = Array.from({ length: structure.natural("header", "count of tensors", source.planes) }, () =>
    decodeTensor(source),
  );
  const steps = Array.from({ length: structure.positive("header", "count of steps", source.planes) }, () => {
    source.take(256);
    const kind = structure.natural("step", "a step", op.averagePool);
    if (kind === op.maxPool) return decodeMaxPool(source, planes);
    if (kind === op.averagePool) return decodeAveragePool(source, planes);
    return decodeConvolution(source, planes, kind === op.convolution ? null : tensors);
  });
  source.finish(planes.count);
  const last = steps[steps.length - 1];
  if (last.op !== "convolution" || last.height * last.width !== 1 || last.rows.length !== classes.length)
    throw source.fail(
      `a convolution to ${classes.length} logits as the last step`,
      `${last.op} to ${last.rows.length}`,
    );
  if (source.values !== "int8") return { image, classes, steps: steps as Step[] };
  return { image, classes, steps: steps as Int8Step[], zeros: planes.zeros, logitScale };
}

function decodeClasses(source: ModelSource): string[] {
  const { structure } = source;
  const count = structure.positive("header", "count of classes", source.planes);
  source.take(64 * count);
  if (!structure.flag("class names")) return Array.from({ length: count }, (_, i) => String(i));
  return Array.from({ length: count }, () => {
    const name = structure.text("a class name", limits.name);
    source.take(2 * name.length);
    return name;
  });
}
