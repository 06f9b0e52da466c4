import { type Bias, biasPlane } from "../../bias.js";
import type { Extent } from "../../graph.js";

/** Bands along one side of a plane. */
interface Bands {
  readonly count: number;
  /** The band of each row or column. */
  readonly of: readonly number[];
}

/** Biases as [biases, bands of rows, bands of columns], in the fewest bands that suit all of them. */
export function bandsOf(
  biases: readonly Bias[],
  { height, width }: Extent,
): { readonly values: Float32Array; readonly rows: Bands; readonly columns: Bands } {
  const ends = (side: "rows" | "columns", extent: number) => {
    const all = biases.flatMap((bias) => (typeof bias === "number" ? [] : bias[side]));
    return [...new Set([...all, extent])].sort((a, b) => a - b);
  };
  const [rows, columns] = [ends("rows", height), ends("columns", width)];
  const values = biases.flatMap((bias) => {
    const plane = biasPlane(bias, height, width);
    return rows.flatMap((y) => columns.map((x) => plane[(y - 1) * width + x - 1]));
  });
  const bands = (found: readonly number[], extent: number): Bands => ({
    count: found.length,
    of: Array.from({ length: extent }, (_, i) => found.findIndex((end) => i < end)),
  });
  return { values: Float32Array.from(values), rows: bands(rows, height), columns: bands(columns, width) };
}
