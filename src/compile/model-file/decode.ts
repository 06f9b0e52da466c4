import type { Graph, Step } from "../graph.js";
import { decodeConvolution, decodePool } from "./decode-step.js";
import { limits, MAGIC, op, type WeightType } from "./format.js";
import { PlaneList } from "./plane-list.js";
import { decodeTensor } from "./shared-tensor.js";
import { ModelSource } from "./source.js";

/**
 * The graph in a model file, shared weights written out. Every size is checked before it is used; what is read takes at
 * most 4 times the file and 16 MB. `where` names the file in errors, whose code is EASTING_MODEL_FILE.
 */
export const decodeModel = (bytes: Uint8Array, where = "model file"): Graph => openModel(bytes, where).graph;

export interface ModelFile {
  readonly graph: Graph;
  readonly values: WeightType;
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

function decode(source: ModelSource): Graph {
  const { structure } = source;
  const planes = new PlaneList(source);
  const channels = structure.positive("channels", source.planes);
  const height = structure.positive("height", limits.extent);
  const width = structure.positive("width", limits.extent);
  for (let c = 0; c < channels; c++) planes.add({ height, width });
  const mean = Array.from({ length: channels }, () => source.number());
  const std = Array.from({ length: channels }, () => source.number());
  const wrong = std.find((value) => value <= 0);
  if (wrong !== undefined) throw source.fail("standard deviations above 0", wrong);
  const classes = decodeClasses(source);
  const tensors = Array.from({ length: structure.natural("count of tensors", structure.left) }, () =>
    decodeTensor(source),
  );
  const steps = Array.from({ length: structure.positive("count of steps", structure.left) }, (): Step => {
    source.take(256);
    const kind = structure.byte();
    if (kind === op.maxPool || kind === op.averagePool) return decodePool(kind, source, planes);
    if (kind === op.convolution) return decodeConvolution(source, planes, null);
    if (kind === op.sharedConvolution) return decodeConvolution(source, planes, tensors);
    throw source.fail("a known step", `number ${kind}`);
  });
  source.finish(planes.count);
  const last = steps[steps.length - 1];
  if (last.op !== "convolution" || last.height * last.width !== 1 || last.rows.length !== classes.length)
    throw source.fail(
      `a convolution to ${classes.length} logits as the last step`,
      `${last.op} to ${last.rows.length}`,
    );
  return { image: { shape: [channels, height, width], mean, std }, classes, steps };
}

function decodeClasses(source: ModelSource): string[] {
  const { structure } = source;
  const count = structure.positive("count of classes", source.planes);
  source.take(64 * count);
  if (!structure.flag("class names")) return Array.from({ length: count }, (_, i) => String(i));
  return Array.from({ length: count }, () => {
    const name = structure.text("a class name", limits.name);
    source.take(2 * name.length);
    return name;
  });
}
