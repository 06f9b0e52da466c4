import { type Bias, biasOf, biasPlane, mapBias } from "../bias.js";
import { filterEntries } from "../entries.js";
import {
  type Convolution,
  type Extent,
  effectiveWeights,
  extents,
  type Graph,
  type Reading,
  type Row,
  type Step,
} from "../graph.js";
import { addTap, constantPlane, maxPool } from "../interpret.js";

/**
 * Folds what does not depend on the image into the biases of what does, exactly: a tap on a constant channel counts only
 * where it falls inside, so that a bias may differ towards the border. Channels left without readers stay, for
 * `dropUnneeded`.
 */
export function foldConstants(graph: Graph): Graph {
  const size = extents(graph);
  const constants = new Map<number, Bias>();
  const steps = graph.steps.map((step): Step => {
    if (step.op === "convolution") {
      const biased = { ...step, rows: step.rows.map((row) => foldRow(step, row, constants, size)) };
      const folded = filterEntries(biased, (_, k) => !constants.has(step.inputs[k]));
      for (const { plane, first, end, residual, bias } of folded.rows)
        if (first === end && !residual)
          constants.set(plane, step.relu ? mapBias(bias, (value) => Math.max(value, 0)) : bias);
      return folded;
    }
    if (step.op === "maxPool") {
      const rows = step.rows.filter(({ plane, input }) => {
        const value = constants.get(input);
        if (value === undefined) return true;
        const { height, width } = size.get(input) as Extent;
        const pooled = maxPool(step, constantPlane(value, height, width));
        constants.set(plane, biasOf(pooled, step.height, step.width));
        return false;
      });
      return { ...step, rows };
    }
    const rows = step.rows.filter(({ plane, input }) => {
      const value = constants.get(input.plane);
      if (value === undefined) return true;
      const { height, width } = size.get(input.plane) as Extent;
      const pixels = biasPlane(applied(value, input), height, width);
      constants.set(plane, pixels.reduce((sum, pixel) => sum + pixel, 0) / pixels.length);
      return false;
    });
    return { ...step, rows };
  });
  return { ...graph, steps: steps.filter(({ rows }) => rows.length > 0) };
}

const applied = (value: Bias, { offset, floor }: Reading): Bias =>
  mapBias(value, (number) => Math.max(number + offset, floor));

/** The row with what is constant in its bias; the weights on constants are still there. */
function foldRow(step: Convolution, row: Row, constants: ReadonlyMap<number, Bias>, size: Map<number, Extent>): Row {
  const weights = effectiveWeights(step, row);
  let { bias, residual } = row;
  for (let k = row.first; k < row.end; k++) {
    const value = constants.get(step.inputs[k]);
    if (value === undefined) continue;
    const tap = { weight: weights[k - row.first], dy: step.dy[k], dx: step.dx[k], stride: step.stride };
    bias = withTap(bias, step, value, size.get(step.inputs[k]) as Extent, tap);
  }
  const value = residual && constants.get(residual.plane);
  if (residual && value !== null && value !== undefined) {
    bias = sum(bias, applied(value, residual), step);
    residual = null;
  }
  return { ...row, bias, residual };
}

/** bias + the tap on a constant channel of this extent. */
export function withTap(
  bias: Bias,
  { height, width }: Extent,
  value: Bias,
  input: Extent,
  tap: { readonly weight: number; readonly dy: number; readonly dx: number; readonly stride: number },
): Bias {
  const { weight, dy, dx, stride } = tap;
  if (value === 0) return bias;
  const inside =
    dy >= 0 && dx >= 0 && (height - 1) * stride + dy < input.height && (width - 1) * stride + dx < input.width;
  if (inside && typeof value === "number") return mapBias(bias, (number) => number + weight * value);
  const plane = biasPlane(bias, height, width);
  addTap(plane, height, width, constantPlane(value, input.height, input.width), tap);
  return biasOf(plane, height, width);
}

function sum(a: Bias, b: Bias, { height, width }: Extent): Bias {
  if (typeof b === "number") return mapBias(a, (value) => value + b);
  if (typeof a === "number") return mapBias(b, (value) => value + a);
  const other = biasPlane(b, height, width);
  const total = biasPlane(a, height, width).map((value, i) => value + other[i]);
  return biasOf(total, height, width);
}
