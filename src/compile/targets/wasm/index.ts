import { expected } from "../../../errors.js";
import type { Graph } from "../../graph.js";
import type { Int8Graph } from "../../int8-graph.js";
import { inColumns } from "../../program/columns.js";
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
  const layout = layOut(f32Program(graph), { value: 4, classes: classes.length });
  const { shape, mean, std } = image;
  return assemble(wasmRuntime.f32, layout, { numbers: "f32", shape, mean, std, classes });
}

function int8Module(graph: Int8Graph): Uint8Array {
  const { image, classes, logitScale } = graph;
  const layout = layOut(int8Program(graph), { value: 1, classes: classes.length });
  const { shape, mean, std } = image;
  return assemble(wasmRuntime.int8, layout, { numbers: "int8", shape, mean, std, classes, logitScale });
}

interface Layout {
  readonly data: Uint8Array;
  readonly end: number;
  readonly addresses: Pick<WasmDescription, "program" | "image" | "logits">;
}

/** The program's record, its tables and its buffers, one behind the other; `value` is the bytes of a pixel and a weight. */
function layOut(program: Program, { value, classes }: { value: 1 | 4; classes: number }): Layout {
  const { weights, numbers, bands, buffers } = program;
  const { coded, counts, planes, arena, image } = inColumns(program, value === 1);
  const FIELDS = 3 + counts.length + 9;
  let end = FREE + 4 * FIELDS;
  const place = (bytes: number) => {
    const at = 16 * Math.ceil(end / 16);
    end = at + bytes;
    return at;
  };
  const words = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const tables = [
    value === 4 ? words(weights) : [],
    words(numbers),
    new Uint8Array(Uint16Array.from(bands).buffer),
    coded,
  ];
  const placed = tables.map((bytes) => ({ at: place(bytes.length), bytes }));
  const dataEnd = end;
  const planesAt = place(value * arena); // right behind what is coded: zeros until the first image
  const [weightsAt, numbersAt, bandsAt, codedAt] = placed.map(({ at }) => at);
  const sums = place(4 * buffers.sums);
  const biases = place(4 * buffers.biases);
  const inputs = place(INPUT_BYTES * buffers.inputs);
  const taps = place(TAP_BYTES[value] * buffers.taps);
  const logits = place(4 * classes);
  const places = place(4 * planes);
  const columns = place(4 * counts.reduce((sum, count) => sum + count, 0));
  const data = new Uint8Array(dataEnd - FREE);
  const view = new DataView(data.buffer);
  // As easting_program in walk.h, which begins with easting_tables of reader-columns.h.
  const fields = [codedAt, columns, places, ...counts];
  fields.push(
    value === 1 ? place(weights.length) : weightsAt,
    bandsAt,
    numbersAt,
    planesAt,
    sums,
    biases,
    inputs,
    taps,
    logits,
  );
  for (const [i, field] of fields.entries()) view.setUint32(4 * i, field, true);
  for (const { at, bytes } of placed) data.set(bytes, at - FREE);
  return { data, end, addresses: { program: FREE, image: image.map((offset) => planesAt + value * offset), logits } };
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
