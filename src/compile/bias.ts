/**
 * A number, or one that differs towards the border, where taps on constant channels fall outside the image: in bands of
 * whole rows and columns, `values[r · columns.length + c]`. Bands are given by their ends: band r is the rows from
 * `rows[r − 1]` (0 for the first) up to, without, `rows[r]`; the last end is the height. Likewise the columns.
 */
export type Bias = number | BorderBias;

export interface BorderBias {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  readonly values: Float64Array;
}

/** As a plane of height × width numbers. */
export function biasPlane(bias: Bias, height: number, width: number): Float64Array {
  const plane = new Float64Array(height * width);
  if (typeof bias === "number") return plane.fill(bias);
  const { rows, columns, values } = bias;
  for (let y = 0, r = 0; y < height; y++) {
    if (y >= rows[r]) r++;
    for (let x = 0, c = 0; x < width; x++) {
      if (x >= columns[c]) c++;
      plane[y * width + x] = values[r * columns.length + c];
    }
  }
  return plane;
}

/** The bias with this plane, in the fewest bands. */
export function biasOf(plane: Float64Array, height: number, width: number): Bias {
  const rows = ends(height, (a, b) => {
    for (let x = 0; x < width; x++) if (plane[a * width + x] !== plane[b * width + x]) return false;
    return true;
  });
  const columns = ends(width, (a, b) => {
    for (let y = 0; y < height; y++) if (plane[y * width + a] !== plane[y * width + b]) return false;
    return true;
  });
  if (rows.length === 1 && columns.length === 1) return plane[0];
  const values = rows.flatMap((y) => columns.map((x) => plane[(y - 1) * width + x - 1]));
  return { rows, columns, values: Float64Array.from(values) };
}

function ends(count: number, same: (a: number, b: number) => boolean): number[] {
  const found: number[] = [];
  for (let i = 1; i < count; i++) if (!same(i - 1, i)) found.push(i);
  return [...found, count];
}

/** f of every value of the bias. */
export const mapBias = (bias: Bias, f: (value: number) => number): Bias =>
  typeof bias === "number" ? f(bias) : { ...bias, values: bias.values.map(f) };

/** How many numbers it takes. */
export const biasCount = (bias: Bias): number => (typeof bias === "number" ? 1 : bias.values.length);
