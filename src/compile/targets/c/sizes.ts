import type { CModel } from "./model.js";

/** Bytes of constant tables. */
export function flashBytes({ program, classes, numbers }: CModel): number {
  const { bits, weights, bands, image } = program;
  const { weight, sum, wanted, tableBytes } = numbers;
  const tests = sum.bytes * wanted.length * classes.length;
  return bits.length + weight.bytes * weights.length + 2 * bands.length + 4 * image.length + tests + tableBytes;
}

/** Bytes of static memory where pointers take 4, member by member as in the header. */
export function ramBytes({ program, classes, numbers }: CModel): number {
  const { arena, buffers } = program;
  const { sums, biases, inputs, taps } = buffers;
  const { value, weight, sum } = numbers;
  return (
    TAP_BYTES[weight.bytes] * taps +
    INPUT_BYTES * inputs +
    sum.bytes * (classes.length + sums + biases) +
    4 * Math.ceil((value.bytes * arena) / 4)
  );
}

/** sizeof(easting_tap) with 4-byte pointers, by the bytes of a weight. */
export const TAP_BYTES: Readonly<Record<number, number>> = { 1: 16, 4: 20 };
/** sizeof(easting_input) */
export const INPUT_BYTES = 8;
