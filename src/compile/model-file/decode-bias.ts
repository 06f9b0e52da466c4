import type { Bias } from "../bias.js";
import type { Extent } from "../graph.js";
import type { ModelSource } from "./source.js";

/** Largest i32. */
const MOST = 2 ** 31 - 1;

/** One per row; in integers multiples of `grain` of the row. */
export function decodeBiases(
  source: ModelSource,
  count: number,
  { height, width }: Extent,
  grain: ((row: number) => number) | null,
): Bias[] {
  const { structure } = source;
  const bands = (size: number) => {
    const ends = structure.ascending("band", "ends of bands", size, size);
    source.take(8 * ends.length);
    if (ends[0] === 0 || ends.at(-1) !== size) throw source.fail(`bands up to ${size}`, ends.at(-1) ?? "none");
    return ends;
  };
  const layouts = Array.from({ length: structure.natural("band", "count of band layouts", count) }, () => {
    source.take(128);
    return { rows: bands(height), columns: bands(width) };
  });
  const bordered = layouts.length > 0 ? structure.ascending("row", "rows with bands", count, count - 1) : [];
  const chosen = structure.integers("layout", "band layouts", bordered.length, Math.max(0, layouts.length - 1));
  const layoutOf = new Map(bordered.map((row, i) => [row, layouts[chosen[i]]]));
  return Array.from({ length: count }, (_, row): Bias => {
    const layout = layoutOf.get(row);
    const length = layout ? layout.rows.length * layout.columns.length : 1;
    if (layout) source.take(320 + 8 * length);
    const values = grain ? decodeInt8Bias(source, length, grain(row)) : numbers(source, length);
    return layout ? { ...layout, values } : values[0];
  });
}

const numbers = (source: ModelSource, length: number) => Float64Array.from({ length }, () => source.number());

function decodeInt8Bias({ structure, fail }: ModelSource, length: number, grain: number): Float64Array {
  const most = Math.floor(MOST / grain);
  let last = structure.integer("bias", "a bias", most);
  return Float64Array.from({ length }, (_, i) => {
    if (i > 0) last += structure.integer("step of a bias", "a step of a bias", most);
    if (Math.abs(last) > most) throw fail(`a bias of at most ${MOST}`, last * grain);
    return last * grain;
  });
}
