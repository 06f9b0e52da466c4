/** A sparse convolution weight as one CSR matrix per tap, one behind the other (see native/cuda/kernels.def). */
export interface TapOrder {
  /** `[taps, rows + 1]`: where in its tap's entries each row begins. */
  readonly start: Int32Array;
  /** Column of each entry. */
  readonly entry: Int32Array;
  /** Place of each entry among the ascending flat indices. */
  readonly value: Int32Array;
  /** Entries of each tap. */
  readonly nonzeros: readonly number[];
}

/**
 * The order of ascending flat indices into `[o, i, …taps]`: rows are outputs and columns inputs, or with `transposed` the
 * other way round. Columns ascend within a row.
 */
export function tapOrder(
  [o, i, ...kernel]: readonly number[],
  indices: ArrayLike<number>,
  transposed: boolean,
): TapOrder {
  const taps = kernel.reduce((product, extent) => product * extent, 1);
  const rows = transposed ? i : o;
  const places = Array.from(indices, (index, value) => {
    const [tap, input, output] = [index % taps, Math.floor(index / taps) % i, Math.floor(index / taps / i)];
    return transposed ? { tap, row: input, column: output, value } : { tap, row: output, column: input, value };
  }).sort((a, b) => a.tap - b.tap || a.row - b.row || a.column - b.column);
  const start = new Int32Array(taps * (rows + 1));
  const nonzeros = new Array<number>(taps).fill(0);
  for (const { tap, row } of places) {
    start[tap * (rows + 1) + row + 1]++;
    nonzeros[tap]++;
  }
  for (let k = 0; k < start.length; k++) if (k % (rows + 1) > 0) start[k] += start[k - 1];
  return {
    start,
    entry: Int32Array.from(places, ({ column }) => column),
    value: Int32Array.from(places, ({ value }) => value),
    nonzeros,
  };
}
