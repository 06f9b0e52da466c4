import { readFileSync } from "node:fs";
import { sizeOf, Tensor, type TensorOptions } from "../../src/tensor/index.js";
import { signed, uniform } from "../numbers.js";

export interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** What `generate.py` wrote; it says what each case holds. */
// biome-ignore lint/suspicious/noExplicitAny: the file is described in generate.py, and every test names what it reads
export const fixture: any = JSON.parse(readFileSync(new URL("fixture.json", import.meta.url), "utf8"));

/** From PyTorch's [n][c][h][w] to [c][h][w][n], or back. */
export function transposed(data: ArrayLike<number>, rows: number): Float64Array {
  const columns = data.length / rows;
  const result = new Float64Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) result[column * rows + row] = data[row * columns + column];
  return result;
}

/** An array of the fixture, [n][…], in the engine's order […][n]. */
export const inOrder = ({ shape, data }: Numbers): Float64Array => transposed(data, shape[0]);

/** Tensor number `t` of PyTorch's shape [n, …] as an activation […, n]: scale · signed + shift. */
export function activation(t: number, shape: readonly number[], options: TensorOptions, scale = 1, shift = 0): Tensor {
  const data = signed(t, sizeOf(shape)).map((v) => scale * v + shift);
  return Tensor.from(transposed(data, shape[0]), [...shape.slice(1), shape[0]], options);
}

/** A weight: scale · signed + shift in PyTorch's own order. */
export function weight(t: number, shape: readonly number[], options: TensorOptions, scale = 1, shift = 0): Tensor {
  return Tensor.from(
    signed(t, sizeOf(shape)).map((v) => scale * v + shift),
    shape,
    options,
  );
}

/** `base + u(t)`, as BatchNorm weights are. */
export function positive(t: number, size: number, options: TensorOptions, base = 0.5): Tensor {
  return Tensor.from(
    uniform(t, size).map((u) => u + base),
    [size],
    options,
  );
}
