import { crc32 } from "node:zlib";
import { EastingError, expected } from "../../errors.js";
import type { Graph } from "../graph.js";
import type { Int8Graph } from "../int8-graph.js";
import { openModel } from "./decode.js";
import { HEADER, limits, MAGIC, type ValueType, VERSION, valueTypes, type WeightType } from "./format.js";
import { toHalf } from "./half.js";
import { Writer } from "./writer.js";

export interface EncodeOptions {
  /** How weights of a graph in floats are stored; its biases are f32 always. f32 by default. */
  readonly values?: WeightType;
}

/**
 * The model file of a packed and rounded graph, or of one in integers. Shared weights stand in it once, or, where readers
 * would not take the memory that it says so little about, at each use. Throws where they would refuse that, too.
 */
export function encodeModel(graph: Graph | Int8Graph, { values = "f32" }: EncodeOptions = {}): Uint8Array {
  let reason = "";
  for (const once of [true, false]) {
    const writer = new Writer("zeros" in graph ? graph.zeros : null);
    writer.model(graph, once);
    const file = assemble(writer, graph, "zeros" in graph ? "int8" : values);
    reason = refusal(file);
    if (!reason) return file;
  }
  throw expected(
    "model file",
    "a network within the limits of its readers",
    `one that they refuse (${reason})`,
    "leave fewer weights or channels",
    "EASTING_MODEL_FILE",
  );
}

/** Why readers would not take the file, "" if they would. */
function refusal(file: Uint8Array): string {
  try {
    openModel(file);
    return "";
  } catch (error) {
    if (!(error instanceof EastingError && error.code === "EASTING_MODEL_FILE")) throw error;
    return error.message.replace("model file: ", "").split(";")[0];
  }
}

function assemble({ structure, numbers, weights }: Writer, { image, steps }: Graph | Int8Graph, values: ValueType) {
  const type = valueTypes.findIndex(({ name }) => name === values);
  const planes = steps.reduce((sum, { rows }) => sum + rows.length, image.shape[0]);
  if (planes > limits.planes) throw expected("model file", `at most ${limits.planes} channels`, planes);
  const weightsAt = HEADER + 4 * numbers.length;
  const structureAt = weightsAt + 4 * Math.ceil((weights.length * valueTypes[type].bytes) / 4);
  const text = structure.finish();
  const file = new Uint8Array(structureAt + text.length + 4);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(MAGIC));
  view.setUint16(8, VERSION, true);
  view.setUint8(10, type);
  for (const [i, count] of [file.length, numbers.length, weights.length, text.length, planes].entries())
    view.setUint32(12 + 4 * i, count, true);
  for (const [i, number] of numbers.entries()) view.setFloat32(HEADER + 4 * i, number, true);
  for (const [i, weight] of weights.entries()) {
    if (values === "f32") view.setFloat32(weightsAt + 4 * i, weight, true);
    else {
      const half = toHalf(weight);
      if ((half & 0x7fff) === 0x7c00)
        throw expected("model file", "weights within ±65504 for f16", weight, "write f32 values");
      view.setUint16(weightsAt + 2 * i, half, true);
    }
  }
  file.set(text, structureAt);
  view.setUint32(file.length - 4, crc32(file.subarray(0, -4)), true);
  return file;
}
