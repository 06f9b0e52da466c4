import { expect } from "vitest";

/** Mixes 32 bits; with `uniform` the formula of `test/pytorch/generate.py`, so both sides make the same inputs. */
export function hash32(x: number): number {
  let h = x >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hash of entry `index` of tensor number `tensor`. */
export function hashAt(tensor: number, index: number): number {
  return hash32(Math.imul(tensor, 0x9e3779b1) + index);
}

/** `count` numbers in [0, 1). */
export function uniform(tensor: number, count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, f) => hashAt(tensor, f) / 0x100000000);
}

/** `count` numbers in [-1, 1). */
export function signed(tensor: number, count: number): Float64Array {
  return uniform(tensor, count).map((u) => 2 * u - 1);
}

/** Largest absolute value; 0 for no values. */
export function largest(values: ArrayLike<number>): number {
  let result = 0;
  for (let i = 0; i < values.length; i++) result = Math.max(result, Math.abs(values[i]));
  return result;
}

/** Every entry within `relative` times the largest expected entry, or within `absolute`. NaN is never close. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative, absolute = 0 }: { relative: number; absolute?: number },
  what = "value",
): void {
  expect(actual.length, `length of ${what}`).toBe(expected.length);
  const allowed = Math.max(absolute, relative * largest(expected));
  for (let i = 0; i < expected.length; i++)
    if (!(Math.abs(actual[i] - expected[i]) <= allowed))
      expect.fail(`${what}[${i}]: expected ${expected[i]} within ${allowed}, got ${actual[i]}`);
}

/** Values rounded to f32, so that both number types start from the same inputs. */
export function rounded(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values, Math.fround);
}

/** The bytes of an array, to compare bit by bit (also NaN and -0). */
export function bytes(array: ArrayBufferView): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
}
