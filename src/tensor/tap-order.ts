/** A sparse convolution weight as one CSR matrix per tap, one behind the other (see native/cuda/kernels.def). */
export interface TapOrder {
  /** `[taps, rows + 1]`, each tap padded to a multiple of four: where in its tap's entries each row begins. */
  readonly start: Int32Array;
  /** Column of each entry, each tap padded to a multiple of four. */
  readonly entry: Int32Array;
  /** Place of each entry among the ascending flat indices; -1 in the padding. */
  readonly value: Int32Array;
  /** Entries of each tap. */
  readonly nonzeros: readonly number[];
}

const padded = (count: number) => 4 * Math.ceil(count / 4);

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
  const pitch = padded(rows + 1);
  const start = new Int32Array(taps * pitch);
  const nonzeros = new Array<number>(taps).fill(0);
  for (const { tap, row } of places) {
    start[tap * pitch + row + 1]++;
    nonzeros[tap]++;
  }
  for (let k = 0; k < start.length; k++) if (k % pitch > 0) start[k] += start[k - 1];
  const next: number[] = []; // where each tap's next entry goes
  let size = 0;
  for (const count of nonzeros) {
    next.push(size);
    size += padded(count);
  }
  const [entry, value] = [new Int32Array(size), new Int32Array(size).fill(-1)];
  for (const { tap, column, value: place } of places) {
    entry[next[tap]] = column;
    value[next[tap]++] = place;
  }
  return { start, entry, value, nonzeros };
}
