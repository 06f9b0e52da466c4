import { type Bias, mapBias } from "./bias.js";
import { calibrate, type PlaneScale } from "./calibrate.js";
import {
  type AveragePool,
  type Convolution,
  effectiveWeights,
  extents,
  type Graph,
  logitsOf,
  type Reading,
  type Row,
} from "./graph.js";
import {
  biasGrain,
  type Int8AveragePool,
  type Int8Convolution,
  type Int8Graph,
  type Int8Reading,
  type Int8Row,
  type Int8Step,
  NO_FLOOR,
  type Requantization,
} from "./int8-graph.js";

const WEIGHT = 127;
/** No unit need be finer than this share of a step of the row's plane. */
const FINEST = 2 ** 11;
/** From fine to coarse units, in steps of 3 / 2 and 4 / 3. Few multipliers, for they take room. */
const REQUANTIZATIONS: readonly Requantization[] = Array.from({ length: 31 }, (_, i) => 30 - i)
  .flatMap((shift) => [1, 3].map((multiplier) => ({ multiplier, shift })))
  .sort((a, b) => a.multiplier * 2 ** (30 - a.shift) - b.multiplier * 2 ** (30 - b.shift));
/** Levels of what an average pool reads. */
const READING = 4096;
/** The most units of a bias of a logit. */
const LOGIT = 2 ** 24;
const LIMIT = 2 ** 31;

/**
 * The graph in integers, its planes' scales taken from what they hold on the calibration images (bytes, `[c, h, w]`).
 *
 * Every row has an accumulator unit u. A weight is round(w · scale of its plane / u), so that planes of any scales add up.
 * u has the form scale of the row's plane · multiplier / 2^shift, so that the way back to bytes is exact; of those that
 * keep weights within ±127 and every sum, times the multiplier, within 32 bits, it is the one that rounds the weights
 * best, within a factor of two of the least.
 */
export function quantize(graph: Graph, images: readonly Uint8Array[]): Int8Graph {
  const scales = calibrate(graph, images);
  const size = extents(graph);
  const area = (plane: number) => (size.get(plane)?.height ?? 0) * (size.get(plane)?.width ?? 0);
  const logits = logitsOf(graph);
  let logitScale = 1;
  const steps = graph.steps.map((step): Int8Step => {
    if (step.op === "averagePool") return averagePool(step, scales, area);
    if (step.op === "convolution") {
      if (step === logits) logitScale = logitUnit(step, scales);
      return convolution(step, scales, step === logits ? logitScale : null);
    }
    for (const { plane, input } of step.rows) scales.set(plane, scaleOf(scales, input));
    return step;
  });
  const zeros = Uint8Array.from({ length: scales.size }, (_, plane) => scaleOf(scales, plane).zero);
  return { image: graph.image, classes: graph.classes, steps, zeros, logitScale };
}

type Scales = Map<number, PlaneScale>;
const scaleOf = (scales: Scales, plane: number) => scales.get(plane) as PlaneScale;

/** One unit for all logits, so that they compare. */
function logitUnit(step: Convolution, scales: Scales): number {
  const units = step.rows.map((row) => Math.max(leastUnit(step, row, scales), largest(row.bias) / LOGIT));
  return units.reduce((a, b) => Math.max(a, b));
}

/** The smallest unit that keeps the row's weights within a byte. */
function leastUnit(step: Convolution, row: Row, scales: Scales): number {
  const largest = scaledWeights(step, row, scales).reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  return largest / WEIGHT || 2 ** -20;
}

/** What each weight adds to the row for one step of its plane. */
const scaledWeights = (step: Convolution, row: Row, scales: Scales): Float64Array =>
  Float64Array.from(
    effectiveWeights(step, row),
    (weight, i) => weight * scaleOf(scales, step.inputs[row.first + i]).scale,
  );

function convolution(step: Convolution, scales: Scales, logitScale: number | null): Int8Convolution {
  const { op, height, width, stride, inputs, dy, dx, tensor } = step;
  const weights = new Int8Array(step.weights.length);
  const rows = step.rows.map((row): Int8Row => {
    const { plane, channel, first, end } = row;
    const scaled = scaledWeights(step, row, scales);
    const inUnits = (unit: number, grain: number) => ({
      weights: scaled.map((weight) => Math.round(weight / unit)),
      bias: mapBias(row.bias, (value) => toGrain(value / unit, grain)),
      residual: row.residual && reading(row.residual, scales, unit, grain),
    });
    const most = ({ weights, bias, residual }: ReturnType<typeof inUnits>) =>
      weights.reduce((sum, weight, i) => sum + Math.abs(weight) * reach(scaleOf(scales, inputs[first + i])), 0) +
      largest(bias) +
      (residual ? mostOf(residual, scales) : 0);
    const error = (unit: number, { weights, residual }: ReturnType<typeof inUnits>) =>
      weights.reduce((sum, weight, i) => sum + (unit * weight - scaled[i]) ** 2, 0) +
      (residual ? (unit * residual.factor - scaleOf(scales, residual.plane).scale) ** 2 : 0);
    const least = leastUnit(step, row, scales);
    const { requantization, found } =
      logitScale === null
        ? widening(scales, plane, (output) =>
            requantize(output, Math.max(least, output / FINEST), inUnits, most, error),
          )
        : { requantization: { multiplier: 1, shift: 0 }, found: inUnits(logitScale, 1) };
    weights.set(found.weights, first);
    return { plane, channel, first, end, ...requantization, bias: found.bias, residual: found.residual };
  });
  return { op, height, width, stride, tensor, rows, inputs, dy, dx, weights };
}

function averagePool(step: AveragePool, scales: Scales, area: (plane: number) => number): Int8AveragePool {
  const rows = step.rows.map(({ plane, channel, input }) => {
    const count = area(input.plane);
    const { scale } = scaleOf(scales, input.plane);
    const { requantization, found } = widening(scales, plane, (output) =>
      requantize(
        count * output,
        scale / READING,
        (unit, grain) => reading(input, scales, unit, grain),
        (candidate) => count * mostOf(candidate, scales),
        (unit, { factor }) => (unit * factor - scale) ** 2,
      ),
    );
    return { plane, channel, ...requantization, input: found };
  });
  return { ...step, rows };
}

/**
 * What `attempt` finds for the scale of the plane, or for the first that is wide enough of its doubles: a plane that
 * calibration saw hardly move may get sums far above its range.
 */
function widening<T>(scales: Scales, plane: number, attempt: (scale: number) => T | null): T {
  for (let factor = 1; ; factor *= 2) {
    const { scale, zero } = scaleOf(scales, plane);
    const found = attempt(factor * scale);
    if (!found) continue;
    scales.set(plane, { scale: factor * scale, zero: Math.round(zero / factor) });
    return found;
  }
}

/**
 * The requantisation to an output of scale `output` that rounds best by `error`, of those whose unit is within a factor of
 * two of the least that is allowed and whose sums, by `most`, stay within bounds, and what `inUnits` makes of it; null
 * if there is none.
 */
function requantize<T>(
  output: number,
  least: number,
  inUnits: (unit: number, grain: number) => T,
  most: (found: T) => number,
  error: (unit: number, found: T) => number,
): { readonly requantization: Requantization; readonly found: T } | null {
  let best: { readonly requantization: Requantization; readonly found: T; readonly distance: number } | null = null;
  let finest = Number.POSITIVE_INFINITY;
  for (const requantization of REQUANTIZATIONS) {
    const { multiplier, shift } = requantization;
    const unit = (output * multiplier) / 2 ** shift;
    if (unit < least) continue;
    if (best && unit >= 2 * finest) break;
    const found = inUnits(unit, biasGrain(requantization));
    if (most(found) * multiplier + 2 ** (shift - 1) >= LIMIT) continue;
    finest = Math.min(finest, unit);
    const distance = error(unit, found);
    if (!best || distance < best.distance) best = { requantization, found, distance };
  }
  return best;
}

const toGrain = (value: number, grain: number) => grain * Math.round(value / grain);

function reading({ plane, offset, floor }: Reading, scales: Scales, unit: number, grain: number): Int8Reading {
  return {
    plane,
    factor: Math.round(scaleOf(scales, plane).scale / unit),
    offset: toGrain(offset / unit, grain),
    floor: floor === Number.NEGATIVE_INFINITY ? NO_FLOOR : toGrain(floor / unit, grain),
  };
}

/** The most that |q − zero| can be. */
const reach = ({ zero }: PlaneScale) => Math.max(zero, 255 - zero);

function mostOf({ plane, factor, offset, floor }: Int8Reading, scales: Scales): number {
  return factor * reach(scaleOf(scales, plane)) + Math.abs(offset) + (floor === NO_FLOOR ? 0 : Math.abs(floor));
}

const largest = (bias: Bias): number =>
  typeof bias === "number" ? Math.abs(bias) : bias.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
