import type { AveragePool, Convolution, Graph } from "../graph.js";
import { encodeProgram, type NumberCode, type Program } from "./program.js";
import { sharedTensors } from "./tensors.js";

export interface F32Program extends Program {
  /** Scales, biases, offsets and floors in order of use. */
  readonly numbers: readonly number[];
}

export function f32Program(graph: Graph): F32Program {
  const numbers: number[] = [];
  return { ...encodeProgram(graph, sharedTensors(graph), f32Code(numbers)), numbers };
}

const f32Code = (numbers: number[]): NumberCode<Convolution, AveragePool> => ({
  zero: () => 0,
  rows(out, step, scaled) {
    out.flag(step.op === "convolution" && step.relu);
    out.flag(scaled);
    return {
      row(i) {
        if (step.op === "averagePool") return;
        const { scale, bias } = step.rows[i];
        if (scaled) numbers.push(scale);
        numbers.push(...(typeof bias === "number" ? [bias] : bias.values));
      },
      reading(i) {
        const reading = step.op === "averagePool" ? step.rows[i].input : step.rows[i].residual;
        const { offset, floor } = reading ?? { offset: 0, floor: Number.NEGATIVE_INFINITY };
        const changed = offset !== 0 || floor !== Number.NEGATIVE_INFINITY;
        out.flag(changed);
        if (changed) numbers.push(offset, floor);
      },
    };
  },
});
