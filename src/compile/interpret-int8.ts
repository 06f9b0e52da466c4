import { expected } from "../errors.js";
import { biasPlane } from "./bias.js";
import { type Extent, extents, type MaxPool } from "./graph.js";
import type { Int8Convolution, Int8Graph, Int8Reading, Int8Row, Requantization } from "./int8-graph.js";
import { addTap, maxPool } from "./interpret.js";

/** Pixels of a plane as q − zero. */
interface Centred extends Extent {
  readonly values: Int32Array;
}

type Planes = (plane: number) => Centred;

/**
 * Logits of one image of bytes `[c, h, w]`, in units of `logitScale`, by the definition in docs/int8.md: what C,
 * WebAssembly and native code agree with in every bit.
 */
export function interpretInt8(graph: Int8Graph, image: Uint8Array): Int32Array {
  const [channels, height, width] = graph.image.shape;
  const area = height * width;
  if (image.length !== channels * area)
    throw expected("interpretInt8", `an image of ${channels} × ${height} × ${width} bytes`, image.length);
  const sizes = extents(graph);
  const planes = new Map<number, Centred>();
  const at: Planes = (plane) => planes.get(plane) as Centred;
  const keep = (plane: number, values: Int32Array) => planes.set(plane, { ...(sizes.get(plane) as Extent), values });
  for (let c = 0; c < channels; c++)
    keep(
      c,
      Int32Array.from(image.subarray(c * area, (c + 1) * area), (pixel) => pixel - graph.zeros[c]),
    );
  const last = graph.steps.at(-1) as Int8Convolution;
  for (const step of graph.steps) {
    if (step === last) break;
    if (step.op === "maxPool") for (const { plane, input } of step.rows) keep(plane, pool(step, at(input)));
    else if (step.op === "convolution")
      for (const row of step.rows) keep(row.plane, pixels(convolve(step, row, at), row, graph.zeros));
    else
      for (const row of step.rows) keep(row.plane, pixels(Int32Array.of(sum(read(row.input, at))), row, graph.zeros));
  }
  return Int32Array.from(last.rows, (row) => convolve(last, row, at)[0]);
}

const sum = (values: Int32Array) => values.reduce((total, value) => total + value, 0);

const pool = (step: MaxPool, input: Centred) =>
  Int32Array.from(maxPool(step, { ...input, values: Float64Array.from(input.values) }));

/** The sums of a row requantised, less the zero of its plane. */
const pixels = (sums: Int32Array, row: Requantization & { readonly plane: number }, zeros: Uint8Array): Int32Array =>
  sums.map((value) => requantize(value, row, zeros[row.plane]) - zeros[row.plane]);

/** All in 32 bits: the compiler has seen to it that no image leads beyond. */
export function requantize(sum: number, { multiplier, shift }: Requantization, zero: number): number {
  const half = shift > 0 ? 1 << (shift - 1) : 0;
  return Math.min(255, Math.max(0, zero + ((Math.imul(sum, multiplier) + half) >> shift)));
}

function convolve(step: Int8Convolution, row: Int8Row, at: Planes): Int32Array {
  const { height, width, stride, inputs, dy, dx, weights } = step;
  const sums = Int32Array.from(biasPlane(row.bias, height, width));
  for (let k = row.first; k < row.end; k++)
    addTap(sums, height, width, at(inputs[k]), { weight: weights[k], dy: dy[k], dx: dx[k], stride });
  if (!row.residual) return sums;
  const residual = read(row.residual, at);
  return sums.map((value, i) => value + residual[i]);
}

const read = ({ plane, factor, offset, floor }: Int8Reading, at: Planes): Int32Array =>
  at(plane).values.map((value) => Math.max(factor * value + offset, floor));
