import {
  type AveragePool,
  type Bias,
  biasPlane,
  type Convolution,
  type Extent,
  effectiveWeights,
  extents,
  type Graph,
  type Int8AveragePool,
  type Int8Convolution,
  type Int8Graph,
  type Int8Reading,
  type Int8Row,
  type MaxPool,
  type Reading,
  type Row,
  type WiredStep,
} from "../compile/index.js";
import type { InferenceProgram } from "../native.js";
import { Arena } from "./arena.js";
import { borderedPlanes, type Layout, lastReads, layoutsOf, type View, viewOf } from "./layout.js";
import { nowhere, op, Words } from "./program.js";

/** The graph as a program for `pixel` images at once. */
export function lower(graph: Graph | Int8Graph, pixel: number): InferenceProgram {
  const lowering = new Lowering(graph, pixel);
  graph.steps.forEach((step, i) => {
    if (step.op === "convolution") lowering.convolution(step, i === graph.steps.length - 1);
    else lowering.pool(step);
    lowering.release(i);
  });
  return lowering.program();
}

/** What a step of program.h says of all its rows. */
interface Shape {
  readonly op: number;
  readonly out: Layout;
  readonly input: Layout;
  /** About how many vectors its rows load and store. */
  readonly cost: number;
  readonly stride?: number;
  readonly kernel?: number;
  readonly padding?: number;
  readonly lowest?: number;
}

/** What a row of program.h says, but for its place. */
interface RowFields {
  readonly plane: number;
  /** Its taps, or of a split its phase. */
  readonly first?: number;
  readonly count?: number;
  readonly bias?: number;
  readonly input: Reading | Int8Reading | null;
  readonly multiplier?: number;
  readonly shift?: number;
}

const rowWords = 12;
const tapWords = 2;

class Lowering {
  readonly #steps = new Words();
  readonly #rows = new Words();
  readonly #taps = new Words();
  readonly #constantRuns = new Words();
  readonly #constants = new Words();
  readonly #arena: Arena;
  readonly #sizes: ReadonlyMap<number, Extent>;
  readonly #layouts: (extent: Extent) => Layout;
  readonly #bordered: ReadonlySet<number>;
  readonly #last: ReadonlyMap<number, number>;
  /** Of the planes that later steps read. */
  readonly #places = new Map<number, number>();
  /** The image's planes keep their places: their borders are written once only. */
  readonly #image: Uint32Array;

  constructor(
    readonly graph: Graph | Int8Graph,
    readonly pixel: number,
  ) {
    this.#arena = new Arena(pixel);
    this.#sizes = extents(graph);
    this.#layouts = layoutsOf(graph, this.#sizes);
    this.#bordered = borderedPlanes(graph);
    this.#last = lastReads(graph);
    this.#image = Uint32Array.from({ length: graph.image.shape[0] }, (_, plane) => this.#make(plane));
  }

  convolution(step: Convolution | Int8Convolution, last: boolean): void {
    const out = this.#layouts(step);
    const vectors = this.#arena.vectors(out);
    const { find, giveBack } = this.#views(step, out);
    const begin = this.#rows.length / rowWords;
    let cost = 0;
    for (const row of step.rows) {
      const first = this.#taps.length / tapWords;
      if (typeof row.bias !== "number") this.#tap(this.#constant(row.bias, out), 1);
      const weights = "relu" in step ? effectiveWeights(step, row as Row) : step.weights.subarray(row.first, row.end);
      weights.forEach((weight, i) => {
        const at = find(row.first + i);
        if (at !== null) this.#tap(at, weight);
      });
      const count = this.#taps.length / tapWords - first;
      const { plane, residual: input } = row;
      const bias = typeof row.bias === "number" ? row.bias : 0;
      // Sums of logits stay as they are.
      const { multiplier, shift } = last || "relu" in step ? { multiplier: 0, shift: 0 } : (row as Int8Row);
      this.#row({ plane, first, count, bias, input, multiplier, shift });
      cost += (count + 3) * vectors;
    }
    const lowest = "relu" in step && step.relu ? 0 : Number.NEGATIVE_INFINITY;
    this.#step({ op: op.convolution, out, input: out, cost, lowest }, begin);
    giveBack();
  }

  pool(step: MaxPool | AveragePool | Int8AveragePool): void {
    const begin = this.#rows.length / rowWords;
    const [{ input: any }] = step.rows;
    const input = this.#layoutOf(typeof any === "number" ? any : any.plane);
    const out = this.#layouts(step);
    if (step.op === "maxPool") {
      for (const { plane, input } of step.rows) this.#row({ plane, input: { plane: input, offset: 0, floor: 0 } });
      const cost = 2 * step.kernel * step.rows.length * this.#arena.vectors(out);
      const { stride, kernel, padding } = step;
      this.#step({ op: op.maxPool, out, input, cost, stride, kernel, padding }, begin);
    } else {
      for (const row of step.rows) this.#row(row);
      this.#step({ op: op.averagePool, out, input, cost: step.rows.length * this.#arena.vectors(input) }, begin);
    }
  }

  /** Gives back what no step after the i-th reads. */
  release(i: number): void {
    for (const [plane, at] of this.#places) {
      if ((this.#last.get(plane) ?? -1) > i || plane < this.#image.length) continue;
      this.#arena.giveBack(this.#layoutOf(plane), at);
      this.#places.delete(plane);
    }
  }

  program(): InferenceProgram {
    return {
      pixel: this.pixel,
      arena: this.#arena.size,
      imagePitch: this.#layoutOf(0).pitch,
      image: this.#image,
      logits: Uint32Array.from((this.graph.steps.at(-1) as WiredStep).rows.map(({ plane }) => this.#place(plane))),
      steps: this.#steps.done(),
      rows: this.#rows.done(),
      taps: this.#taps.done(),
      constantRuns: this.#constantRuns.done(),
      constants: this.#constants.done(),
    };
  }

  /** Where each tap of a step reads; planes it does not read as they are go through splits, which come first. */
  #views(
    step: Convolution | Int8Convolution,
    out: Layout,
  ): { find: (k: number) => number | null; giveBack: () => void } {
    const found = new Map<string, { readonly view: View; readonly at: number }>();
    const keyOf = ({ plane, phase }: View) => `${plane} ${phase}`;
    const viewAt = (k: number) => viewOf(step, k, this.#sizes.get(step.inputs[k]) as Extent);
    for (const { first, end } of step.rows)
      for (let k = first; k < end; k++) {
        const view = viewAt(k);
        if (view?.phase && !found.has(keyOf(view))) found.set(keyOf(view), { view, at: this.#arena.take(out) });
      }
    const views = [...found.values()];
    for (const input of new Set(views.map(({ view }) => this.#layoutOf(view.plane)))) {
      const first = this.#rows.length / rowWords;
      for (const { view, at } of views) {
        if (this.#layoutOf(view.plane) !== input) continue;
        const [y, x] = view.phase as readonly [number, number];
        this.#rows.push(at, y, x, 0, this.#place(view.plane), 0, 0, 1, 1, 0, 0, 0);
      }
      const cost = views.length * this.#arena.vectors(out) * 3;
      this.#step({ op: op.split, out, input, cost, stride: step.stride }, first);
    }
    const find = (k: number) => {
      const view = viewAt(k);
      if (!view) return null;
      const at = view.phase ? (found.get(keyOf(view))?.at as number) : this.#place(view.plane);
      return at + (view.shift[0] * out.pitch + view.shift[1]) * this.pixel;
    };
    const giveBack = () => {
      for (const { view, at } of found.values()) {
        const { height, width } = this.#layoutOf(view.plane);
        // Beyond the last output its border holds pixels, not zeros.
        if (height <= out.height * step.stride && width <= out.width * step.stride) this.#arena.giveBack(out, at);
      }
    };
    return { find, giveBack };
  }

  /** Where a bias that differs towards the border lies, as a plane. */
  #constant(bias: Bias, { height, width, pitch }: Layout): number {
    const at = this.#arena.take({ height, width, pitch, top: 0, left: 0, right: 0, bottom: 0 });
    this.#constantRuns.push(at, height * pitch * this.pixel);
    const plane = biasPlane(bias, height, width);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < pitch; x++) {
        const value = x < width ? plane[y * width + x] : 0;
        for (let image = 0; image < this.pixel; image++) this.#number(this.#constants, value);
      }
    return at;
  }

  #tap(at: number, weight: number): void {
    this.#taps.push(at);
    this.#number(this.#taps, weight);
  }

  #row({ plane, first = 0, count = 0, bias = 0, input, multiplier = 0, shift = 0 }: RowFields): void {
    this.#rows.push(this.#make(plane), first, count);
    this.#number(this.#rows, bias);
    this.#rows.push(input ? this.#place(input.plane) : nowhere);
    this.#number(this.#rows, input?.offset ?? 0);
    this.#number(this.#rows, input?.floor ?? 0);
    this.#rows.push(this.#bordered.has(plane) ? 1 : 0, input && "factor" in input ? input.factor : 1);
    this.#rows.push(multiplier, shift, "zeros" in this.graph ? this.graph.zeros[plane] : 0);
  }

  #number(words: Words, value: number): void {
    if ("zeros" in this.graph) words.push(value);
    else words.pushFloat(value);
  }

  #step({ op, out, input, cost, stride = 1, kernel = 1, padding = 0, lowest = 0 }: Shape, first: number): void {
    this.#steps.push(op, first, this.#rows.length / rowWords - first, Math.min(cost, nowhere));
    this.#steps.push(out.height, out.width, out.pitch, this.#arena.vectors(out));
    this.#steps.push(input.height, input.width, input.pitch);
    this.#steps.push(stride, kernel, padding, out.left, out.bottom);
    this.#steps.pushFloat(lowest);
  }

  #make(plane: number): number {
    const at = this.#arena.take(this.#layoutOf(plane));
    this.#places.set(plane, at);
    return at;
  }

  #place = (plane: number): number => this.#places.get(plane) as number;

  #layoutOf = (plane: number): Layout => this.#layouts(this.#sizes.get(plane) as Extent);
}
