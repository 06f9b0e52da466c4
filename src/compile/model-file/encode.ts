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

/** The model file of a packed and rounded graph, or of one in integers. Throws where a reader would refuse it. */
export function encodeModel(graph: Graph | Int8Graph, { values = "f32" }: EncodeOptions = {}): Uint8Array {
  const writer = new Writer("zeros" in graph ? graph.zeros : null);
  writer.model(graph);
  const file = assemble(writer, graph, "zeros" in graph ? "int8" : values);
  readable(file);
  return file;
}

/** What takes little in the file can take more in memory than readers allow: many weights in int8, many shared ones. */
function readable(file: Uint8Array): void {
  try {
    openModel(file);
  } catch (error) {
    if (!(error instanceof EastingError && error.code === "EASTING_MODEL_FILE")) throw error;
    const [reason] = error.message.replace("model file: ", "").split(";");
    throw expected(
      "model file",
      "a network within the limits of its readers",
      `one that they refuse (${reason})`,
      "leave fewer weights or channels",
      error.code,
    );
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
