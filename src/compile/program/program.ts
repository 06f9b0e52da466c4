import { type Bias, type BorderBias, biasCount } from "../bias.js";
import { type Extent, extents, type ImageInput, type MaxPool } from "../graph.js";
import { planMemory } from "../memory-plan.js";
import type { SharedTensor } from "../model-file/shared-tensor.js";
import { BitWriter, type FixedCode, gaps, riceParameter } from "./bit-writer.js";
import type { Tensors, Use } from "./tensors.js";

/**
 * A graph as tables that a small runtime walks through once per image, from front to end, without any memory of its own
 * but the buffers named here: what the C and WebAssembly targets hold. src/compile/runtime/runtime.h reads it.
 */
export interface Program {
  /** Weights' positions, then steps, in the codes of bit-writer.ts. */
  readonly bits: Uint8Array;
  /** Bit at which the steps begin. */
  readonly start: number;
  readonly weights: readonly number[];
  /** Layouts of biases with bands: count of bands of rows, their ends, count of bands of columns, their ends. */
  readonly bands: readonly number[];
  /** Counts of elements of each buffer. */
  readonly buffers: {
    /** Planes. */
    readonly arena: number;
    /** Some lines of an output. */
    readonly sums: number;
    /** Biases of one row. */
    readonly biases: number;
    /** Where each input of a tensor is. */
    readonly inputs: number;
    /** Weights of one row. */
    readonly taps: number;
  };
  /** Where the image is to be put in the arena, channel by channel. */
  readonly image: readonly number[];
}

/** How rows and readings are written in one type of numbers; runtime/f32.h and runtime/int8.h read them. */
export interface NumberCode<C, P> {
  /** The pixel that stands for 0. */
  zero(plane: number): number;
  /** Begins the rows of a step. */
  rows(out: BitWriter, step: C | P, scaled: boolean): RowWriter;
}

export interface RowWriter {
  row(row: number): void;
  /** Its residual, or what its pool reads. */
  reading(row: number): void;
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

export function encodeProgram<C extends Linear, P extends Mean>(
  graph: { readonly image: ImageInput; readonly steps: readonly (C | P | MaxPool)[] },
  { tensors, uses }: Tensors,
  code: NumberCode<C, P>,
): Program {
  const plan = planMemory(graph, { granularity: "row" });
  const writer = new ProgramWriter(plan.offsets, extents(graph), code);
  const placed = tensors.map((tensor) => writer.tensor(tensor));
  const start = writer.out.at;
  writer.out.natural(graph.steps.length);
  for (const step of graph.steps)
    if (step.op === "maxPool") writer.maxPool(step);
    else if (step.op === "averagePool") writer.averagePool(step);
    else {
      const use = uses.get(step) as Use;
      writer.convolution(step, use, placed[use.tensor]);
    }
  const rows = graph.steps.flatMap((step) => (step.op === "convolution" ? step.rows : []));
  const most = (values: number[]) => values.reduce((a, b) => Math.max(a, b), 1);
  return {
    bits: Uint8Array.from([...writer.out.bytes, 0, 0, 0, 0]), // read four bytes at a time
    start,
    weights: writer.weights,
    bands: writer.bands,
    buffers: {
      arena: plan.size,
      sums: most(
        graph.steps.map(({ height, width }) => width * Math.min(height, Math.max(1, Math.floor(BLOCK / width)))),
      ),
      biases: most(rows.map(({ bias }) => biasCount(bias))),
      inputs: most(tensors.map(({ inputs }) => inputs)),
      taps: most(rows.map(({ first, end }) => end - first)),
    },
    image: Array.from({ length: graph.image.shape[0] }, (_, plane) => plan.offsets.get(plane) as number),
  };
}

/** EASTING_BLOCK of runtime/walk.h: sums that are worked on at a time, as whole lines, and one line at least. */
const BLOCK = 256;

const opcode = { convolution: 0, maxPool: 1, averagePool: 2 } as const;

/** Where a tensor's positions and weights are, and how its positions are coded. */
interface PlacedTensor extends SharedTensor {
  readonly at: number;
  readonly first: number;
  readonly k: number;
}

class ProgramWriter<C extends Linear, P extends Mean> {
  readonly out = new BitWriter();
  readonly weights: number[] = [];
  readonly bands: number[] = [];
  readonly #layouts = new Map<string, number>();

  constructor(
    private readonly offsets: ReadonlyMap<number, number>,
    private readonly extents: ReadonlyMap<number, Extent>,
    private readonly code: NumberCode<C, P>,
  ) {}

  tensor(tensor: SharedTensor): PlacedTensor {
    const steps = gaps(Array.from(tensor.positions));
    const k = riceParameter(steps);
    const placed = { ...tensor, at: this.out.at, first: this.weights.length, k };
    for (const step of steps) this.out.rice(step, k);
    for (const value of Array.from(tensor.values)) this.weights.push(value);
    return placed;
  }

  convolution(step: C, { inputs, planes, channels, scaled }: Use, tensor: PlacedTensor): void {
    const { out } = this;
    this.#head(step, planes[0]);
    for (const value of [tensor.at, tensor.first, tensor.positions.length, tensor.inputs]) out.natural(value);
    out.integer(tensor.box.top);
    out.integer(tensor.box.left);
    out.natural(tensor.box.height);
    out.natural(tensor.box.width);
    out.bits(tensor.k, 5);

    out.natural(inputs.length);
    const nextInput = this.#ascending(inputs);
    const place = this.#places(planes);
    const zero = out.fixedCode(planes.map((plane) => this.code.zero(plane)));
    for (const [i, plane] of planes.entries()) {
      nextInput(i);
      out.fixed(this.#offset(plane), place);
      out.fixed(this.code.zero(plane), zero);
    }

    const nextRow = this.#ascending(channels);
    const to = this.#places(step.rows.map(({ plane }) => plane));
    const residuals = step.rows.flatMap(({ residual }) => (residual ? [this.#offset(residual.plane)] : []));
    const from = this.#optional(residuals);
    const layouts = step.rows.flatMap(({ bias }) => (typeof bias === "number" ? [] : [this.#layout(bias)]));
    const layout = this.#optional(layouts);
    const numbers = this.code.rows(out, step, scaled);
    for (const [row, { plane, bias, residual }] of step.rows.entries()) {
      nextRow(row);
      out.fixed(this.#offset(plane), to);
      if (layout) {
        out.flag(typeof bias !== "number");
        if (typeof bias !== "number") out.fixed(this.#layout(bias), layout);
      }
      numbers.row(row);
      if (!from) continue;
      out.flag(residual !== null);
      if (!residual) continue;
      out.fixed(this.#offset(residual.plane), from);
      numbers.reading(row);
    }
  }

  maxPool(step: MaxPool): void {
    const { out } = this;
    this.#head(step, step.rows[0].input);
    out.natural(step.kernel);
    out.natural(step.padding);
    const to = this.#places(step.rows.map(({ plane }) => plane));
    const from = this.#places(step.rows.map(({ input }) => input));
    for (const { plane, input } of step.rows) {
      out.fixed(this.#offset(plane), to);
      out.fixed(this.#offset(input), from);
    }
  }

  averagePool(step: P): void {
    const { out } = this;
    this.#head(step, step.rows[0].input.plane);
    const to = this.#places(step.rows.map(({ plane }) => plane));
    const from = this.#places(step.rows.map(({ input }) => input.plane));
    const numbers = this.code.rows(out, step, false);
    for (const [row, { plane, input }] of step.rows.entries()) {
      out.fixed(this.#offset(plane), to);
      numbers.row(row);
      out.fixed(this.#offset(input.plane), from);
      numbers.reading(row);
    }
  }

  #head(step: C | P | MaxPool, input: number | undefined): void {
    const { out } = this;
    const { height, width } = (input !== undefined && this.extents.get(input)) || step;
    out.bits(opcode[step.op], 2);
    const stride = "stride" in step ? step.stride : 1;
    for (const value of [step.rows.length, step.height, step.width, height, width, stride]) out.natural(value);
  }
  #places(planes: readonly number[]): FixedCode {
    return this.out.fixedCode(planes.map((plane) => this.#offset(plane)));
  }
  /** Begins a list of ascending numbers, of which the function returned writes the one asked for. */
  #ascending(values: readonly number[]): (i: number) => void {
    const steps = gaps(values);
    const k = riceParameter(steps);
    this.out.bits(k, 5);
    return (i) => this.out.rice(steps[i], k);
  }
  #optional(values: readonly number[]): FixedCode | null {
    this.out.flag(values.length > 0);
    return values.length > 0 ? this.out.fixedCode(values) : null;
  }
  #layout({ rows, columns }: BorderBias): number {
    const key = `${rows}/${columns}`;
    const known = this.#layouts.get(key);
    if (known !== undefined) return known;
    const at = this.bands.length;
    this.#layouts.set(key, at);
    this.bands.push(rows.length, ...rows, columns.length, ...columns);
    return at;
  }
  #offset(plane: number): number {
    return this.offsets.get(plane) as number;
  }
}
