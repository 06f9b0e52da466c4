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
  const integers = value === 1;
  const { coded, counts, planes, arena, image } = inColumns(program, integers);
  const FIELDS = 3 + counts.length + 9;
  let end = FREE + 4 * FIELDS;
  const place = (bytes: number) => {
    const at = 16 * Math.ceil(end / 16);
    end = at + bytes;
    return at;
  };
  const tables: { readonly at: number; readonly values: ArrayBufferView }[] = [];
  const table = (values: ArrayBufferView) => {
    const at = place(values.byteLength);
    tables.push({ at, values });
    return at;
  };
  const floats = integers ? 0 : table(Float32Array.from(weights));
  const numbersAt = table(Float32Array.from(numbers));
  const bandsAt = table(Uint16Array.from(bands));
  const codedAt = table(coded);
  const data = new Uint8Array(end - FREE);
  const planesAt = place(value * arena); // behind `coded`: zeros until the first image, as the decoder needs them
  const sums = place(4 * buffers.sums);
  const biases = place(4 * buffers.biases);
  const inputs = place(INPUT_BYTES * buffers.inputs);
  const taps = place(TAP_BYTES[value] * buffers.taps);
  const logits = place(4 * classes);
  const places = place(4 * planes);
  const columns = place(4 * counts.reduce((sum, count) => sum + count, 0));
  const weightsAt = integers ? place(weights.length) : floats;
  // As easting_program in walk.h, which begins with easting_tables of reader-columns.h.
  const record = [codedAt, columns, places, ...counts];
  record.push(weightsAt, bandsAt, numbersAt, planesAt, sums, biases, inputs, taps, logits);
  for (const { at, values } of [{ at: FREE, values: Uint32Array.from(record) }, ...tables])
    data.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at - FREE);
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
