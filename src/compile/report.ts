import { biasCount } from "./bias.js";
import type { Graph } from "./graph.js";
import type { Int8Graph } from "./int8-graph.js";
import { peakMemory } from "./memory-plan.js";

/** What a graph holds, and what one image costs. */
export interface Cost {
  readonly weights: number;
  /** Planes made for one image. */
  readonly channels: number;
  readonly macs: number;
  /** Of weights and biases, as f32 without indices. */
  readonly weightBytes: number;
  /** Of planes in use at once, as f32. */
  readonly memoryBytes: number;
}

export interface PassReport extends Cost {
  /** What ran; the first is the traced network. */
  readonly pass: string;
}

export function costOf(graph: Graph | Int8Graph): Cost {
  let [weights, biases, channels, macs] = [0, 0, 0, 0];
  for (const step of graph.steps) {
    channels += step.rows.length;
    if (step.op !== "convolution") continue;
    for (const { first, end, bias } of step.rows) {
      macs += (end - first) * step.height * step.width;
      weights += end - first;
      biases += biasCount(bias);
    }
  }
  return { weights, channels, macs, weightBytes: 4 * (weights + biases), memoryBytes: 4 * peakMemory(graph) };
}
