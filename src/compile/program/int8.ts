import {
  type Int8AveragePool,
  type Int8Convolution,
  type Int8Graph,
  type Int8Reading,
  NO_FLOOR,
  type Requantization,
} from "../int8-graph.js";
import { encodeProgram, type NumberCode, type Program } from "./program.js";
import { ownTensors } from "./tensors.js";

/** A program whose numbers are all among its bits. */
export const int8Program = (graph: Int8Graph): Program =>
  encodeProgram(graph, ownTensors(graph), int8Code(graph.zeros));

const int8Code = (zeros: Uint8Array): NumberCode<Int8Convolution, Int8AveragePool> => ({
  zero: (plane) => zeros[plane],
  rows(out, step) {
    const rows = rowsOf(step);
    const readings = rows.flatMap(({ reading }) => (reading ? [reading] : []));
    const list = <T>(items: readonly T[], pick: (item: T) => number) => out.fixedCode(items.map(pick));
    const multiplier = list(rows, (row) => row.multiplier);
    const shift = list(rows, (row) => row.shift);
    const zero = list(rows, (row) => zeros[row.plane]);
    const bias = out.fixedCode(rows.flatMap(({ biases }) => biases));
    const factor = list(readings, (reading) => reading.factor);
    const inputZero = list(readings, (reading) => zeros[reading.plane]);
    const offset = list(readings, (reading) => reading.offset);
    const floored = readings.filter((reading) => reading.floor !== NO_FLOOR);
    const floor = list(floored, (reading) => reading.floor);
    return {
      row(i) {
        out.fixed(rows[i].multiplier, multiplier);
        out.fixed(rows[i].shift, shift);
        out.fixed(zeros[rows[i].plane], zero);
        for (const value of rows[i].biases) out.fixed(value, bias);
      },
      reading(i) {
        const reading = rows[i].reading as Int8Reading;
        out.fixed(reading.factor, factor);
        out.fixed(zeros[reading.plane], inputZero);
        out.fixed(reading.offset, offset);
        out.flag(reading.floor !== NO_FLOOR);
        if (reading.floor !== NO_FLOOR) out.fixed(reading.floor, floor);
      },
    };
  },
});

interface Numbers extends Requantization {
  readonly plane: number;
  readonly biases: readonly number[];
  readonly reading: Int8Reading | null;
}

const rowsOf = (step: Int8Convolution | Int8AveragePool): Numbers[] =>
  step.op === "averagePool"
    ? step.rows.map((row) => ({ ...row, biases: [], reading: row.input }))
    : step.rows.map((row) => ({
        ...row,
        biases: typeof row.bias === "number" ? [row.bias] : Array.from(row.bias.values),
        reading: row.residual,
      }));
