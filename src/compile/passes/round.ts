import { type Bias, mapBias } from "../bias.js";
import { effectiveWeights, type Graph, mapConvolutions, type Reading, type Step } from "../graph.js";

/**
 * Rounds what was computed in f64 to f32, once. Factors go into the weights, except where steps share a trained weight:
 * there scale and weights stay apart, so that the weights are stored once.
 */
export function roundToFloat32(graph: Graph): Graph {
  const uses = new Map<number, number>();
  for (const step of graph.steps)
    if (step.op === "convolution" && step.tensor !== null) uses.set(step.tensor, (uses.get(step.tensor) ?? 0) + 1);
  const rounded = mapConvolutions(graph, (step) => {
    const shared = step.tensor !== null && (uses.get(step.tensor) ?? 0) > 1;
    const weights = step.weights.slice();
    const rows = step.rows.map((row) => {
      if (!shared) weights.set(effectiveWeights(step, row), row.first);
      const { bias, residual } = row;
      const scale = shared ? Math.fround(row.scale) : 1;
      return { ...row, scale, bias: roundBias(bias), residual: residual && roundReading(residual) };
    });
    return { ...step, tensor: shared ? step.tensor : null, rows, weights };
  });
  const steps = rounded.steps.map((step): Step => {
    if (step.op !== "averagePool") return step;
    return { ...step, rows: step.rows.map((row) => ({ ...row, input: roundReading(row.input) })) };
  });
  return { ...rounded, steps };
}

const roundBias = (bias: Bias) => mapBias(bias, Math.fround);

const roundReading = ({ plane, offset, floor }: Reading): Reading => ({
  plane,
  offset: Math.fround(offset),
  floor: Math.fround(floor),
});
