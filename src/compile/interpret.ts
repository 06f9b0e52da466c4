import { expected } from "../errors.js";
import { type Bias, biasPlane } from "./bias.js";
import {
  type AveragePool,
  type Convolution,
  type Extent,
  effectiveWeights,
  extents,
  type Graph,
  logitsOf,
  type MaxPool,
  type Reading,
} from "./graph.js";

export interface Plane extends Extent {
  readonly values: Float64Array;
}

type Planes = (plane: number) => Plane;

/**
 * Logits of one image `[c, h, w]`, already normalised, computed step by step in f64 as the graph is defined. Slow and
 * plain: what every other way of running a graph is held to.
 */
export function interpret(graph: Graph, image: ArrayLike<number>): Float64Array {
  const planes = interpretPlanes(graph, image);
  return Float64Array.from(logitsOf(graph).rows, ({ plane }) => (planes.get(plane) as Plane).values[0]);
}

/** As `interpret`; every plane, by its number. */
export function interpretPlanes(graph: Graph, image: ArrayLike<number>): Map<number, Plane> {
  const [channels, height, width] = graph.image.shape;
  if (image.length !== channels * height * width)
    throw expected("interpret", `an image of ${channels} × ${height} × ${width} numbers`, image.length);
  const sizes = extents(graph);
  const planes = new Map<number, Plane>();
  for (let c = 0; c < channels; c++) {
    const values = Float64Array.from({ length: height * width }, (_, i) => image[c * height * width + i]);
    planes.set(c, { height, width, values });
  }
  const at: Planes = (plane) => planes.get(plane) as Plane;
  for (const step of graph.steps)
    for (const row of step.rows) {
      const { height, width } = sizes.get(row.plane) ?? step;
      planes.set(row.plane, { height, width, values: compute(step, row, at) });
    }
  return planes;
}

function compute(step: Graph["steps"][number], row: Graph["steps"][number]["rows"][number], at: Planes): Float64Array {
  if (step.op === "convolution") return convolve(step, row as Convolution["rows"][number], at);
  if (step.op === "maxPool") return maxPool(step, at((row as MaxPool["rows"][number]).input));
  return Float64Array.of(mean(read((row as AveragePool["rows"][number]).input, at)));
}

/** One row of a convolution. */
export function convolve(step: Convolution, row: Convolution["rows"][number], at: Planes): Float64Array {
  const { height, width, stride, relu, inputs, dy, dx } = step;
  const out = biasPlane(row.bias, height, width);
  effectiveWeights(step, row).forEach((weight, i) => {
    const k = row.first + i;
    addTap(out, height, width, at(inputs[k]), { weight, dy: dy[k], dx: dx[k], stride });
  });
  if (row.residual) {
    const values = read(row.residual, at);
    for (let i = 0; i < out.length; i++) out[i] += values[i];
  }
  return relu ? out.map((value) => Math.max(value, 0)) : out;
}

export interface Tap {
  readonly weight: number;
  readonly dy: number;
  readonly dx: number;
  readonly stride: number;
}

/** out[y][x] += weight · input[y·stride + dy][x·stride + dx], where that lies inside. */
export function addTap(
  out: Float64Array | Int32Array,
  height: number,
  width: number,
  input: Extent & { readonly values: Float64Array | Int32Array },
  { weight, dy, dx, stride }: Tap,
): void {
  const { values } = input;
  const [top, bottom] = inside(height, input.height, stride, dy);
  const [left, right] = inside(width, input.width, stride, dx);
  for (let y = top; y < bottom; y++) {
    const from = (y * stride + dy) * input.width + dx;
    for (let x = left; x < right; x++) out[y * width + x] += weight * values[from + x * stride];
  }
}

/** First and one past last of `count` positions i for which 0 ≤ i · stride + offset < size. */
function inside(count: number, size: number, stride: number, offset: number): [number, number] {
  return [Math.max(0, Math.ceil(-offset / stride)), Math.min(count, Math.floor((size - 1 - offset) / stride) + 1)];
}

/** One channel of a max-pool. */
export function maxPool({ height, width, kernel, stride, padding }: MaxPool, input: Plane): Float64Array {
  const out = new Float64Array(height * width).fill(Number.NEGATIVE_INFINITY);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [top, left] = [y * stride - padding, x * stride - padding];
      for (let row = Math.max(0, top); row < Math.min(input.height, top + kernel); row++)
        for (let column = Math.max(0, left); column < Math.min(input.width, left + kernel); column++)
          out[y * width + x] = Math.max(out[y * width + x], input.values[row * input.width + column]);
    }
  return out;
}

function read({ plane, offset, floor }: Reading, at: Planes): Float64Array {
  return at(plane).values.map((value) => Math.max(value + offset, floor));
}

const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** A constant as a plane. */
export const constantPlane = (value: Bias, height: number, width: number): Plane => ({
  height,
  width,
  values: biasPlane(value, height, width),
});
