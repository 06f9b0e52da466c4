import { expected } from "../../../errors.js";
import type { Graph } from "../../graph.js";
import type { Int8Graph } from "../../int8-graph.js";
import { f32Program } from "../../program/f32.js";
import { int8Program } from "../../program/int8.js";
import type { Program } from "../../program/program.js";
import { INPUT_BYTES, TAP_BYTES } from "../c/sizes.js";
import type { Target } from "../target.js";
import type { WasmDescription } from "./loader.js";
import { withData } from "./module.js";
import { wasmRuntime } from "./runtime.js";

const PAGE = 65536;
/** End of the runtime's stack: where memory is free. */
const FREE = 4096;

/** A module with the model in it, which loader.ts runs in browsers and in Node. */
export const wasm: Target = {
  name: "wasm",
  description: "WebAssembly module for browsers and Node",
  extension: ".wasm",
  int8: true,
  emit(graph, { values, int8 }) {
    if (int8) return int8Module(int8);
    if (values !== "f32") throw expected("wasm", "values of type f32", values, "leave --values out");
    return f32Module(graph);
  },
};

function f32Module(graph: Graph): Uint8Array {
  const { image, classes } = graph;
  const program = f32Program(graph);
  const numbers = new Uint8Array(Float32Array.from(program.numbers).buffer);
  const weights = new Uint8Array(Float32Array.from(program.weights).buffer);
  const layout = layOut(program, { numbers, weights, value: 4, classes: classes.length });
  const { shape, mean, std } = image;
  return assemble(wasmRuntime.f32, layout, { numbers: "f32", shape, mean, std, classes });
}

function int8Module(graph: Int8Graph): Uint8Array {
  const { image, classes, logitScale } = graph;
  const program = int8Program(graph);
  const weights = new Uint8Array(Int8Array.from(program.weights).buffer);
  const layout = layOut(program, { numbers: new Uint8Array(0), weights, value: 1, classes: classes.length });
  const { shape, mean, std } = image;
  return assemble(wasmRuntime.int8, layout, { numbers: "int8", shape, mean, std, classes, logitScale });
}

interface Sizes {
  readonly numbers: Uint8Array;
  readonly weights: Uint8Array;
  /** Bytes of a pixel and of a weight. */
  readonly value: 1 | 4;
  readonly classes: number;
}

interface Layout {
  readonly data: Uint8Array;
  readonly end: number;
  readonly addresses: Pick<WasmDescription, "program" | "image" | "logits">;
}

/** The program's record, its tables and its buffers, one behind the other. */
function layOut(program: Program, { numbers, weights, value, classes }: Sizes): Layout {
  const { bits, start, bands, buffers, image } = program;
  const FIELDS = 11;
  let end = FREE + 4 * FIELDS;
  const place = (bytes: number) => {
    const at = 16 * Math.ceil(end / 16);
    end = at + bytes;
    return at;
  };
  const tables = [weights, numbers, new Uint8Array(Uint16Array.from(bands).buffer), bits].map((bytes) => ({
    at: place(bytes.length),
    bytes,
  }));
  const [weightsAt, numbersAt, bandsAt, bitsAt] = tables.map(({ at }) => at);
  const dataEnd = end;
  const arena = place(value * buffers.arena);
  const sums = place(4 * buffers.sums);
  const biases = place(4 * buffers.biases);
  const inputs = place(INPUT_BYTES * buffers.inputs);
  const taps = place(TAP_BYTES[value] * buffers.taps);
  const logits = place(4 * classes);
  const data = new Uint8Array(dataEnd - FREE);
  const view = new DataView(data.buffer);
  // As easting_program in walk.h.
  const fields = [bitsAt, start, weightsAt, bandsAt, numbersAt, arena, sums, biases, inputs, taps, logits];
  for (const [i, field] of fields.entries()) view.setUint32(4 * i, field, true);
  for (const { at, bytes } of tables) data.set(bytes, at - FREE);
  return { data, end, addresses: { program: FREE, image: image.map((offset) => arena + value * offset), logits } };
}

function assemble(
  runtime: string,
  { data, end, addresses }: Layout,
  description: Omit<WasmDescription, keyof Layout["addresses"]>,
): Uint8Array {
  const pages = Math.ceil(end / PAGE);
  if (pages > PAGE) throw expected("wasm", "a network that runs in 4 GiB", `${end} bytes`);
  const text = JSON.stringify({ ...description, ...addresses } satisfies WasmDescription);
  return withData(Buffer.from(runtime, "base64"), { pages, at: FREE, data, name: "easting", text });
}
