import {
  biasGrain,
  type Int8AveragePool,
  type Int8Convolution,
  type Int8Graph,
  type Int8Reading,
  NO_FLOOR,
} from "../int8-graph.js";
import type { Field } from "./kinds.js";
import { type NumberCode, type Program, programOf } from "./program.js";
import { ownTensors } from "./tensors.js";

/** A program whose numbers are all among its fields: biases, offsets and floors in units of their row's grain. */
export const int8Program = (graph: Int8Graph): Program => ({
  ...programOf(graph, ownTensors(graph), int8Code(graph.zeros)),
  numbers: [],
});

const int8Code = (zeros: Uint8Array): NumberCode<Int8Convolution, Int8AveragePool> => ({
  zero: (plane) => zeros[plane],
  head: () => [],
  row(step, i) {
    const row = step.rows[i];
    const biases = !("bias" in row) ? [] : typeof row.bias === "number" ? [row.bias] : Array.from(row.bias.values);
    return [
      ["multiplier", row.multiplier],
      ["shift", row.shift],
      ...biases.map((bias) => ["bias", bias / biasGrain(row)] as const),
    ];
  },
  reading(step, i) {
    const row = step.rows[i];
    const grain = biasGrain(row);
    const { factor, offset, floor } = ("input" in row ? row.input : row.residual) as Int8Reading;
    const changed = offset !== 0 || floor !== NO_FLOOR;
    const fields: Field[] = [
      ["factor", factor],
      ["changed", changed ? 1 : 0],
    ];
    if (changed) fields.push(["offset", offset / grain], ["floored", floor === NO_FLOOR ? 0 : 1]);
    if (floor !== NO_FLOOR) fields.push(["floor", floor / grain]);
    return fields;
  },
});
