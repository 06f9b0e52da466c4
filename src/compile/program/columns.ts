import { extents } from "../graph.js";
import { planMemory } from "../memory-plan.js";
import { RangeEncoder } from "../model-file/range-coder.js";
import { encodeNatural, NaturalModel, zigzag } from "../model-file/structure.js";
import { kinds } from "./kinds.js";
import type { Program } from "./program.js";

/** A program as lists of numbers of one kind, for memory, and entropy-coded for the way there: see runtime/reader-columns.h. */
export interface ColumnProgram {
  /** All columns, one behind another. */
  readonly coded: Uint8Array;
  /** Length of each column. */
  readonly counts: readonly number[];
  /** Planes in all, the image's first. */
  readonly planes: number;
  /** Values that all planes take at once. */
  readonly arena: number;
  /** Where the image is to be put in the arena: a number for each of its channels. */
  readonly image: readonly number[];
}

/** Beside the kinds of rows; EASTING_COLUMNS of runtime/reader-columns.h. Weights in f32 stand elsewhere. */
const columns = [...kinds, "head", "position", "weight"] as const;
type Column = (typeof columns)[number];

/** Columns of integers, and of those the ones of planes' numbers, which are written as differences. */
const signed: ReadonlySet<Column> = new Set(["input", "output", "source", "bias", "offset", "floor", "weight"]);
const summed: ReadonlySet<Column> = new Set(["input", "source"]);

/** `integers` says whether the weights are whole numbers, and so a column. */
export function inColumns(program: Program, integers: boolean): ColumnProgram {
  const { graph, steps, positions, weights } = program;
  const plan = planMemory(graph, { granularity: "block" });
  const place = (plane: number) => plan.offsets.get(plane) as number;
  const planes = [...extents(graph)]; // the image's, then in order of rows
  const number = new Map(planes.map(([plane], i) => [plane, i]));
  const list = Object.fromEntries(columns.map((column) => [column, [] as number[]])) as Record<Column, number[]>;
  const [channels, height, width] = graph.image.shape;
  list.head.push(channels, height * width, steps.length, ...steps.flatMap(({ head }) => head));
  for (const gaps of positions) for (const gap of gaps) list.position.push(gap);
  if (integers) for (const weight of weights) list.weight.push(weight);
  for (const { fields } of steps)
    for (const [kind, value] of fields)
      if (kind !== "output") list[kind].push(summed.has(kind) ? (number.get(value) as number) : value);
  list["output zero"] = planes.map(([plane]) => program.zero(plane));
  let end = 0; // of the plane before: planes of a step lie side by side
  for (const [plane, { height, width }] of planes) {
    list.output.push(place(plane) - end);
    end = place(plane) + height * width;
  }
  const coder = new RangeEncoder();
  for (const column of columns) {
    const model = new NaturalModel();
    for (const [i, value] of list[column].entries()) {
      const written = summed.has(column) && i > 0 ? value - list[column][i - 1] : value;
      encodeNatural(coder, model, signed.has(column) ? zigzag(written) : written);
    }
  }
  return {
    coded: coder.finish(),
    counts: columns.map((column) => list[column].length),
    planes: planes.length,
    arena: plan.size,
    image: planes.slice(0, channels).map(([plane]) => place(plane)),
  };
}
