import type { AveragePool, Convolution, Graph } from "../graph.js";
import { type NumberCode, type Program, programOf } from "./program.js";
import { sharedTensors } from "./tensors.js";

export function f32Program(graph: Graph): Program {
  const numbers: number[] = [];
  return { ...programOf(graph, sharedTensors(graph), f32Code(numbers)), numbers };
}

/** Numbers go to a table of their own, in order of use. */
const f32Code = (numbers: number[]): NumberCode<Convolution, AveragePool> => ({
  zero: () => 0,
  head: (step, scaled) => [step.op === "convolution" && step.relu ? 1 : 0, scaled ? 1 : 0],
  row(step, i, scaled) {
    if (step.op === "averagePool") return [];
    const { scale, bias } = step.rows[i];
    if (scaled) numbers.push(scale);
    numbers.push(...(typeof bias === "number" ? [bias] : bias.values));
    return [];
  },
  reading(step, i) {
    const reading = step.op === "averagePool" ? step.rows[i].input : step.rows[i].residual;
    const { offset, floor } = reading ?? { offset: 0, floor: Number.NEGATIVE_INFINITY };
    const changed = offset !== 0 || floor !== Number.NEGATIVE_INFINITY;
    if (changed) numbers.push(offset, floor);
    return [["changed", changed ? 1 : 0]];
  },
});
