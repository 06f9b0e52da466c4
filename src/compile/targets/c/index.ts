import { expected } from "../../../errors.js";
import type { Graph } from "../../graph.js";
import { inBits } from "../../program/bits.js";
import { f32Program } from "../../program/f32.js";
import { int8Program } from "../../program/int8.js";
import type { Target, TargetOptions } from "../target.js";
import { printHeader } from "./header.js";
import type { CModel } from "./model.js";
import { f32Numbers, int8Numbers } from "./numbers.js";
import { flashBytes, ramBytes } from "./sizes.js";

/** One header in C99 with tables, code, its memory and a test of itself. */
export const c: Target = {
  name: "c",
  description: "C99 header for microcontrollers and everything else",
  extension: ".h",
  int8: true,
  emit: (graph, options) => new TextEncoder().encode(printHeader(modelOf(graph, options))),
  facts(graph, options) {
    const model = modelOf(graph, options);
    return [
      ["flash", `${flashBytes(model)} bytes of tables, and 3 to 4 kB of code`],
      ["RAM", `${ramBytes(model)} bytes, static, where pointers have 4 bytes`],
    ];
  },
};

function modelOf(graph: Graph, { name = "model", values, int8 }: TargetOptions): CModel {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw expected("c", "a name of letters, digits and _", name);
  const { image, classes } = graph;
  if (int8) return { name, image, classes, program: inBits(int8Program(int8)), numbers: int8Numbers(int8) };
  if (values !== "f32") throw expected("c", "values of type f32", values, "leave --values out");
  const program = inBits(f32Program(graph));
  return { name, image, classes, program, numbers: f32Numbers(graph, program) };
}
