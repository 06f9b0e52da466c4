import { normalized } from "../../calibrate.js";
import type { Graph } from "../../graph.js";
import type { Int8Graph } from "../../int8-graph.js";
import { interpret } from "../../interpret.js";
import { interpretInt8 } from "../../interpret-int8.js";
import type { Program } from "../../program/program.js";
import { testImages } from "../self-test.js";
import { float, table } from "./table.js";

interface CType {
  readonly name: string;
  readonly bytes: number;
}

/** What of a header depends on the numbers that it computes in. */
export interface CNumbers {
  /** Of pixels in the arena, of weights, of sums and logits. */
  readonly value: CType;
  readonly weight: CType;
  readonly sum: CType;
  /** Files of src/compile/runtime with the arithmetic, and with these numbers' part of the functions. */
  readonly arithmetic: string;
  readonly functions: string;
  /** Declarations, tables and their bytes, beyond those that all have. */
  readonly declarations: string;
  readonly tables: string;
  readonly tableBytes: number;
  /** Name of the table of numbers, or NULL. */
  readonly numbers: string;
  /** Logits of the self-test's images. */
  readonly wanted: readonly ArrayLike<number>[];
}

const f32: CType = { name: "float", bytes: 4 };
const LEAST = -3.4028234663852886e38;

export function f32Numbers(graph: Graph, { numbers }: Program): CNumbers {
  const { mean, std } = graph.image;
  const tables = {
    easting_numbers: numbers.map((value) => Math.max(value, LEAST)), // a floor of −∞ is none
    easting_scale: std.map((deviation) => 1 / (255 * deviation)),
    easting_shift: std.map((deviation, c) => -mean[c] / deviation),
  };
  return {
    value: f32,
    weight: f32,
    sum: f32,
    arithmetic: "f32.h",
    functions: "functions-f32.h",
    declarations: `/* The same for an image [channels][height][width] that is normalised already. */
const float* easting_run_normalized(const float* image);
`,
    tables: Object.entries(tables)
      .map(([name, values]) => table("float", name, values))
      .join("\n"),
    tableBytes: 4 * Object.values(tables).reduce((sum, { length }) => sum + length, 0),
    numbers: "easting_numbers",
    wanted: testImages(graph.image).map((pixels) => interpret(graph, normalized(graph, pixels))),
  };
}

export const int8Numbers = (graph: Int8Graph): CNumbers => ({
  value: { name: "uint8_t", bytes: 1 },
  weight: { name: "int8_t", bytes: 1 },
  sum: { name: "int32_t", bytes: 4 },
  arithmetic: "int8.h",
  functions: "functions-int8.h",
  declarations: `/* What a logit of 1 stands for. */
#define EASTING_LOGIT_SCALE ${float(graph.logitScale)}
`,
  tables: "",
  tableBytes: 0,
  numbers: "NULL",
  wanted: testImages(graph.image).map((pixels) => interpretInt8(graph, pixels)),
});
