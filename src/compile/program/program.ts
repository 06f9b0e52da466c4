import { type Bias, type BorderBias, biasCount } from "../bias.js";
import { type Extent, extents, type ImageInput, type MaxPool, type Wiring } from "../graph.js";
import type { SharedTensor } from "../model-file/shared-tensor.js";
import { zigzag } from "../model-file/structure.js";
import type { Field } from "./kinds.js";
import type { Tensors, Use } from "./tensors.js";

/**
 * A graph as numbers that a small runtime (runtime/walk.h) reads once per image, from front to end, without any memory of
 * its own but the buffers named here. C holds them as bits (bits.ts), WebAssembly as columns (columns.ts).
 */
export interface Program {
  readonly steps: readonly ProgramStep[];
  /** Of each tensor the gaps between the positions of its weights. */
  readonly positions: readonly (readonly number[])[];
  /** Tensor by tensor. */
  readonly weights: readonly number[];
  /** In f32 scales, biases, offsets and floors in order of use. */
  readonly numbers: readonly number[];
  /** Layouts of biases with bands: count of bands of rows, their ends, count of bands of columns, their ends. */
  readonly bands: readonly number[];
  /** Counts of elements of each buffer, beside the planes'. */
  readonly buffers: {
    /** Some lines of an output. */
    readonly sums: number;
    /** Biases of one row. */
    readonly biases: number;
    /** Where each input of a tensor is. */
    readonly inputs: number;
    /** Weights of one row. */
    readonly taps: number;
  };
  readonly graph: Wiring;
  /** The pixel that stands for 0. */
  zero(plane: number): number;
}

export interface ProgramStep {
  /** Naturals. */
  readonly head: readonly number[];
  /** The tensor of a convolution. */
  readonly tensor: number | null;
  /** In order of reading. */
  readonly fields: readonly Field[];
}

/** How rows and readings are written in one type of numbers; runtime/f32.h and runtime/int8.h read them. */
export interface NumberCode<C, P> {
  zero(plane: number): number;
  /** Naturals at the end of a step's head. */
  head(step: C | P, scaled: boolean): readonly number[];
  row(step: C | P, row: number, scaled: boolean): readonly Field[];
  /** Of a residual, or of what a pool reads. */
  reading(step: C | P, row: number): readonly Field[];
}

/** What rows of all types of numbers have. */
export interface Linear extends Extent {
  readonly op: "convolution";
  readonly stride: number;
  readonly inputs: Int32Array;
  readonly rows: readonly {
    readonly plane: number;
    readonly first: number;
    readonly end: number;
    readonly bias: Bias;
    readonly residual: { readonly plane: number } | null;
  }[];
}

export interface Mean extends Extent {
  readonly op: "averagePool";
  readonly rows: readonly { readonly plane: number; readonly input: { readonly plane: number } }[];
}

type AnyGraph<C, P> = { readonly image: ImageInput; readonly steps: readonly (C | P | MaxPool)[] };

export function programOf<C extends Linear, P extends Mean>(
  graph: AnyGraph<C, P>,
  { tensors, uses }: Tensors,
  code: NumberCode<C, P>,
): Omit<Program, "numbers"> {
  const layouts = new BandLayouts();
  const firsts = tensors.map((_, i) => tensors.slice(0, i).reduce((sum, { values }) => sum + values.length, 0));
  const sizes = extents(graph);
  const steps = graph.steps.map((step): ProgramStep => {
    const common = (input: number | undefined) => headOf(step, (input !== undefined && sizes.get(input)) || step);
    if (step.op === "maxPool")
      return {
        head: [...common(step.rows[0].input), step.kernel, step.padding],
        tensor: null,
        fields: step.rows.flatMap(({ plane, input }): Field[] => [
          ["output", plane],
          ["source", input],
        ]),
      };
    if (step.op === "averagePool")
      return {
        head: [...common(step.rows[0].input.plane), ...code.head(step, false)],
        tensor: null,
        fields: step.rows.flatMap(({ plane, input }, i): Field[] => [
          ["output", plane],
          ...code.row(step, i, false),
          ["source", input.plane],
          ...code.reading(step, i),
        ]),
      };
    const use = uses.get(step) as Use;
    const tensor = tensors[use.tensor];
    return {
      head: [
        ...common(use.planes[0]),
        ...tensorHead(tensor, firsts[use.tensor]),
        use.inputs.length,
        ...code.head(step, use.scaled),
      ],
      tensor: use.tensor,
      fields: [...inputsOf(use), ...rowsOf(step, use, code, layouts)],
    };
  });
  const rows = graph.steps.flatMap((step) => (step.op === "convolution" ? step.rows : []));
  const most = (values: number[]) => values.reduce((a, b) => Math.max(a, b), 1);
  return {
    steps,
    positions: tensors.map(({ positions }) => gaps(Array.from(positions))),
    weights: tensors.flatMap(({ values }) => Array.from(values)),
    bands: layouts.table,
    buffers: {
      sums: most(
        graph.steps.map(({ height, width }) => width * Math.min(height, Math.max(1, Math.floor(BLOCK / width)))),
      ),
      biases: most(rows.map(({ bias }) => biasCount(bias))),
      inputs: most(tensors.map(({ inputs }) => inputs)),
      taps: most(rows.map(({ first, end }) => end - first)),
    },
    graph,
    zero: code.zero,
  };
}

/** EASTING_BLOCK of runtime/walk.h: sums that are worked on at a time, as whole lines, and one line at least. */
const BLOCK = 256;

const opcode = { convolution: 0, maxPool: 1, averagePool: 2 } as const;

const headOf = (step: Linear | Mean | MaxPool, input: Extent): number[] => [
  ...[opcode[step.op], step.rows.length, step.height, step.width, input.height, input.width],
  "stride" in step ? step.stride : 1,
];

const tensorHead = ({ positions, inputs, box }: SharedTensor, first: number): number[] => [
  ...[first, positions.length, inputs, zigzag(box.top), zigzag(box.left), box.height, box.width],
];

function inputsOf({ inputs, planes }: Use): Field[] {
  const steps = gaps(inputs);
  return planes.flatMap((plane, i): Field[] => [
    ["input gap", steps[i]],
    ["input", plane],
  ]);
}

function rowsOf<C extends Linear, P>(
  step: C,
  { channels, scaled }: Use,
  code: NumberCode<C, P>,
  layouts: BandLayouts,
): Field[] {
  const steps = gaps(channels);
  return step.rows.flatMap(({ plane, bias, residual }, i): Field[] => [
    ["channel gap", steps[i]],
    ["output", plane],
    ["bordered", typeof bias === "number" ? 0 : 1],
    ...(typeof bias === "number" ? [] : [["layout", layouts.add(bias)] as const]),
    ...code.row(step, i, scaled),
    ["has residual", residual ? 1 : 0],
    ...(residual ? [["source", residual.plane] as const, ...code.reading(step, i)] : []),
  ]);
}

/** How far each of an ascending list is beyond the one before it, the first beyond −1, less 1. */
const gaps = (ascending: readonly number[]): number[] =>
  ascending.map((value, i) => value - (i > 0 ? ascending[i - 1] : -1) - 1);

class BandLayouts {
  readonly table: number[] = [];
  readonly #places = new Map<string, number>();

  /** Where the layout of a bias is in the table. */
  add({ rows, columns }: BorderBias): number {
    const key = `${rows}/${columns}`;
    const at = this.#places.get(key) ?? this.table.length;
    if (at === this.table.length) this.table.push(rows.length, ...rows, columns.length, ...columns);
    this.#places.set(key, at);
    return at;
  }
}
