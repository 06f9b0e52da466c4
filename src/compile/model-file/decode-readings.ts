import type { Reading } from "../graph.js";
import { biasGrain, type Int8Reading, NO_FLOOR, type Requantization } from "../int8-graph.js";
import { expectedFactor } from "./factor.js";
import type { PlaneList } from "./plane-list.js";
import type { ModelSource } from "./source.js";

/** Largest i32. */
const MOST = 2 ** 31 - 1;

function decodeInputs(source: ModelSource, planes: PlaneList, count: number) {
  const { structure } = source;
  source.take(64 * count);
  const inputs = structure.integers("plane", "planes", count, planes.count - 1);
  return { inputs, changed: structure.ascending("reading", "offsets", count, count - 1) };
}

export function decodeReadings(source: ModelSource, planes: PlaneList, count: number): Reading[] {
  const { inputs, changed } = decodeInputs(source, planes, count);
  const readings = inputs.map((plane): Reading => ({ plane, offset: 0, floor: Number.NEGATIVE_INFINITY }));
  for (const i of changed) readings[i] = { plane: inputs[i], offset: source.number(), floor: source.number(true) };
  return readings;
}

/** In integers, of rows with these requantisations. */
export function decodeInt8Readings(
  source: ModelSource,
  planes: PlaneList,
  rows: readonly Requantization[],
): Int8Reading[] {
  const { structure } = source;
  const { inputs, changed } = decodeInputs(source, planes, rows.length);
  const readings = inputs.map((plane, i): Int8Reading => {
    const exponent = structure.integer("exponent", "an exponent", 4 * 31);
    const factor = expectedFactor(exponent, rows[i]) + structure.integer("factor", "a factor", MOST);
    if (factor < 0 || factor > MOST) throw source.fail(`factors from 0 to ${MOST}`, factor);
    return { plane, factor, offset: 0, floor: NO_FLOOR };
  });
  for (const i of changed) {
    const grain = biasGrain(rows[i]);
    const number = (what: string) => grain * structure.integer("offset", what, Math.floor(MOST / grain));
    const offset = number("an offset");
    const floor = structure.natural("reading", "whether there is a floor", 1) === 1 ? number("a floor") : NO_FLOOR;
    readings[i] = { ...readings[i], offset, floor };
  }
  return readings;
}

/** With the zero of each row's plane. */
export function decodeRequantizations(source: ModelSource, count: number): (Requantization & { zero: number })[] {
  const { structure } = source;
  return Array.from({ length: count }, () => ({
    multiplier: structure.natural("multiplier", "a multiplier", 254) + 1,
    shift: structure.natural("shift", "a shift", 30),
    zero: structure.natural("zero", "a zero", 255),
  }));
}
