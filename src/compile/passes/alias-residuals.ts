import type { Bias } from "../bias.js";
import {
  type Convolution,
  type Extent,
  effectiveWeights,
  extents,
  type Graph,
  identity,
  type Reading,
  type Row,
  reads,
  type Step,
} from "../graph.js";
import { withTap } from "./fold-constants.js";

/**
 * Takes out channels that a block only passes through: with nothing but a bias added, max(z + b, 0) of max(z′ + o, k) is
 * max(z′ + o + b, max(k + b, 0)), so that a later residual or average reads the old plane with another offset and floor.
 * Where the floor never acts a convolution reads the old plane as well, the offset being a constant channel. Else the
 * channel stays a plane. Those left without readers stay, for `dropUnneeded`.
 */
export function aliasResiduals(graph: Graph): Graph {
  const size = extents(graph);
  const convolved = new Set<number>();
  const pooled = new Set<number>();
  for (const step of graph.steps)
    for (const row of step.rows) {
      if (step.op === "convolution") {
        const { first, end } = row as Row;
        for (let k = first; k < end; k++) convolved.add(step.inputs[k]);
      } else if (step.op === "maxPool") for (const plane of reads(step, row)) pooled.add(plane);
    }
  const lower = new Map<number, number>();
  const aliases = new Map<number, Reading>();
  const resolve = (reading: Reading): Reading => {
    const to = aliases.get(reading.plane);
    const composed = to ? compose(to, reading) : reading;
    const least = (lower.get(composed.plane) ?? Number.NEGATIVE_INFINITY) + composed.offset;
    return composed.floor <= least ? { ...composed, floor: Number.NEGATIVE_INFINITY } : composed;
  };
  const steps = graph.steps.map((step): Step => {
    if (step.op === "maxPool") {
      const rows = step.rows.map((row) => ({ ...row, input: aliases.get(row.input)?.plane ?? row.input }));
      for (const { plane, input } of rows) lower.set(plane, lower.get(input) ?? Number.NEGATIVE_INFINITY);
      return { ...step, rows };
    }
    if (step.op === "averagePool")
      return { ...step, rows: step.rows.map((row) => ({ ...row, input: resolve(row.input) })) };
    const rows = step.rows.map((row) => {
      const changed = withOffsets(step, row, aliases, size);
      const residual = changed.residual && resolve(changed.residual);
      return residual && residual.floor === Number.NEGATIVE_INFINITY
        ? moveOffset(changed, residual)
        : { ...changed, residual };
    });
    for (const row of rows) {
      if (step.relu) lower.set(row.plane, 0);
      const reading = passThrough(step, row);
      if (!reading) continue;
      const whole = resolve(reading);
      const linear = whole.floor === Number.NEGATIVE_INFINITY;
      const plain = linear && whole.offset === 0;
      if ((linear || !convolved.has(row.plane)) && (plain || !pooled.has(row.plane))) aliases.set(row.plane, whole);
    }
    const inputs = step.inputs.map((plane) => aliases.get(plane)?.plane ?? plane);
    return { ...step, rows, inputs };
  });
  return { ...graph, steps };
}

/** `outer` applied to what `inner` reads. */
export const compose = (inner: Reading, outer: Reading): Reading => ({
  plane: inner.plane,
  offset: inner.offset + outer.offset,
  floor: Math.max(inner.floor + outer.offset, outer.floor),
});

/** The row as a reading of another plane, if it is no more than that. */
function passThrough({ relu }: Convolution, { first, end, residual, bias }: Row): Reading | null {
  if (first < end || !residual || typeof bias !== "number") return null;
  return compose(residual, { plane: residual.plane, offset: bias, floor: relu ? 0 : Number.NEGATIVE_INFINITY });
}

/** The row with the offsets of the aliases that its weights read in its bias. */
function withOffsets(
  step: Convolution,
  row: Row,
  aliases: ReadonlyMap<number, Reading>,
  size: Map<number, Extent>,
): Row {
  const weights = effectiveWeights(step, row);
  let { bias } = row;
  for (let k = row.first; k < row.end; k++) {
    const alias = aliases.get(step.inputs[k]);
    if (!alias) continue;
    const tap = { weight: weights[k - row.first], dy: step.dy[k], dx: step.dx[k], stride: step.stride };
    bias = withTap(bias, step, alias.offset, size.get(alias.plane) as Extent, tap);
  }
  return { ...row, bias };
}

/** A residual without floor leaves its offset to the bias. */
function moveOffset(row: Row, { plane, offset }: Reading): Row {
  const add = (bias: Bias): Bias =>
    typeof bias === "number" ? bias + offset : { ...bias, values: bias.values.map((value) => value + offset) };
  return { ...row, bias: add(row.bias), residual: identity(plane) };
}
