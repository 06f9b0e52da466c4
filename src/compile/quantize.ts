import { expected } from "../errors.js";
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
/** Biases are multiples of the power of two next to this share of a step of the row's plane: the rest is noise, and bytes. */
const BIAS = 2 ** 5;
/** Levels of what an average pool reads. */
const READING = 4096;
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
  const logitScale = logits.rows.map((row) => leastUnit(logits, row, scales)).reduce((a, b) => Math.max(a, b));
  const steps = graph.steps.map((step): Int8Step => {
    if (step.op === "maxPool") return step;
    if (step.op === "averagePool") return averagePool(step, scales, area);
    return convolution(step, scales, step === logits ? logitScale : null);
  });
  const zeros = Uint8Array.from({ length: scales.size }, (_, plane) => scaleOf(scales, plane).zero);
  return { image: graph.image, classes: graph.classes, steps, zeros, logitScale };
}

type Scales = ReadonlyMap<number, PlaneScale>;
const scaleOf = (scales: Scales, plane: number) => scales.get(plane) as PlaneScale;

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
  const { op, height, width, stride, inputs, dy, dx } = step;
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
    const output = scaleOf(scales, plane).scale;
    const { requantization, found } =
      logitScale === null
        ? requantize(output, Math.max(leastUnit(step, row, scales), output / FINEST), inUnits, most, error)
        : { requantization: { multiplier: 1, shift: 0 }, found: inUnits(logitScale, 1) };
    weights.set(found.weights, first);
    return { plane, channel, first, end, ...requantization, bias: found.bias, residual: found.residual };
  });
  return { op, height, width, stride, rows, inputs, dy, dx, weights };
}

function averagePool(step: AveragePool, scales: Scales, area: (plane: number) => number): Int8AveragePool {
  const rows = step.rows.map(({ plane, channel, input }) => {
    const count = area(input.plane);
    const { scale } = scaleOf(scales, input.plane);
    const { requantization, found } = requantize(
      count * scaleOf(scales, plane).scale,
      scale / READING,
      (unit, grain) => reading(input, scales, unit, grain),
      (candidate) => count * mostOf(candidate, scales),
      (unit, { factor }) => (unit * factor - scale) ** 2,
    );
    return { plane, channel, ...requantization, input: found };
  });
  return { ...step, rows };
}

/**
 * The requantisation to an output of scale `output` that rounds best by `error`, of those whose unit is within a factor of
 * two of the least that is allowed and whose sums, by `most`, stay within bounds; and what `inUnits` makes of it.
 */
function requantize<T>(
  output: number,
  least: number,
  inUnits: (unit: number, grain: number) => T,
  most: (found: T) => number,
  error: (unit: number, found: T) => number,
): { readonly requantization: Requantization; readonly found: T } {
  let best: { readonly requantization: Requantization; readonly found: T } | null = null;
  let smallest = Number.POSITIVE_INFINITY;
  for (let shift = 30; shift >= 0; shift--) {
    const from = Math.ceil((least / output) * 2 ** shift);
    for (let multiplier = from; multiplier <= Math.min(255, 2 * from); multiplier++) {
      const unit = (output * multiplier) / 2 ** shift;
      const found = inUnits(unit, biasGrain({ multiplier, shift }));
      if (most(found) * multiplier + 2 ** (shift - 1) >= LIMIT || error(unit, found) >= smallest) continue;
      smallest = error(unit, found);
      best = { requantization: { multiplier, shift }, found };
    }
    if (best && from <= 128) return best;
  }
  throw expected("int8", "weights that fit 32 bits", `a row of scale ${output}`, undefined, "EASTING_INTERNAL");
}

/** The power of two that all biases of a row are multiples of. */
export function biasGrain({ multiplier, shift }: Requantization): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(2 ** shift / (BIAS * multiplier))));
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
