import {
  type AveragePool,
  biasPlane,
  type Convolution,
  type Extent,
  effectiveWeights,
  extents,
  type Graph,
  logitsOf,
  type MaxPool,
  type Row,
} from "../compile/index.js";
import type { InferenceProgram } from "../native.js";
import { Arena } from "./arena.js";
import { borderedPlanes, type Layout, lastReads, layoutsOf, type View, viewOf } from "./layout.js";
import { nowhere, op, Words } from "./program.js";

/** The graph as a program for `pixel` images at once. */
export function lower(graph: Graph, pixel: number): InferenceProgram {
  const lowering = new Lowering(graph, pixel);
  graph.steps.forEach((step, i) => {
    if (step.op === "convolution") lowering.convolution(step);
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

const rowWords = 8;
const tapWords = 2;

class Lowering {
  readonly #steps = new Words();
  readonly #rows = new Words();
  readonly #taps = new Words();
  readonly #constantRuns = new Words();
  readonly #constants: number[] = [];
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
    readonly graph: Graph,
    readonly pixel: number,
  ) {
    this.#arena = new Arena(pixel);
    this.#sizes = extents(graph);
    this.#layouts = layoutsOf(graph, this.#sizes);
    this.#bordered = borderedPlanes(graph);
    this.#last = lastReads(graph);
    this.#image = Uint32Array.from({ length: graph.image.shape[0] }, (_, plane) => this.#make(plane));
  }

  convolution(step: Convolution): void {
    const out = this.#layouts(step);
    const vectors = this.#arena.vectors(out);
    const { find, giveBack } = this.#views(step, out);
    const first = this.#rows.length / rowWords;
    let cost = 0;
    for (const row of step.rows) {
      const begin = this.#taps.length / tapWords;
      let bias = 0;
      if (typeof row.bias === "number") bias = row.bias;
      else this.#tap(this.#constant(row, out), 1);
      effectiveWeights(step, row).forEach((weight, i) => {
        const at = find(row.first + i);
        if (at !== null) this.#tap(at, weight);
      });
      const count = this.#taps.length / tapWords - begin;
      const { residual } = row;
      const from = residual ? this.#place(residual.plane) : nowhere;
      this.#row(row.plane, begin, count, bias, from, residual?.offset ?? 0, residual?.floor ?? 0);
      cost += (count + 3) * vectors;
    }
    const lowest = step.relu ? 0 : Number.NEGATIVE_INFINITY;
    this.#step({ op: op.convolution, out, input: out, cost, lowest }, first);
    giveBack();
  }

  pool(step: MaxPool | AveragePool): void {
    const first = this.#rows.length / rowWords;
    const inputOf = ({ input }: (typeof step.rows)[number]) =>
      typeof input === "number" ? { plane: input, offset: 0, floor: 0 } : input;
    const input = this.#layoutOf(inputOf(step.rows[0]).plane);
    for (const row of step.rows) {
      const { plane, offset, floor } = inputOf(row);
      this.#row(row.plane, 0, 0, 0, this.#place(plane), offset, floor);
    }
    const cost = step.rows.length * this.#arena.vectors(input) * 4;
    const out = this.#layouts(step);
    if (step.op === "averagePool") this.#step({ op: op.averagePool, out, input, cost }, first);
    else {
      const { stride, kernel, padding } = step;
      this.#step({ op: op.maxPool, out, input, cost, stride, kernel, padding }, first);
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
      logits: Uint32Array.from(logitsOf(this.graph).rows, ({ plane }) => this.#place(plane)),
      steps: this.#steps.done(),
      rows: this.#rows.done(),
      taps: this.#taps.done(),
      constantRuns: this.#constantRuns.done(),
      constants: Float32Array.from(this.#constants),
    };
  }

  /** Where each tap of a step reads; planes it does not read as they are go through splits, which come first. */
  #views(step: Convolution, out: Layout): { find: (k: number) => number | null; giveBack: () => void } {
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
        this.#rows.push(at, y, x);
        this.#rows.pushFloat(0);
        this.#rows.push(this.#place(view.plane), 0, 0, 1);
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
  #constant({ bias }: Row, { height, width, pitch }: Layout): number {
    const at = this.#arena.take({ height, width, pitch, top: 0, left: 0, right: 0, bottom: 0 });
    this.#constantRuns.push(at, height * pitch * this.pixel);
    const plane = biasPlane(bias, height, width);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < pitch; x++) {
        const value = x < width ? plane[y * width + x] : 0;
        for (let image = 0; image < this.pixel; image++) this.#constants.push(value);
      }
    return at;
  }

  #tap(at: number, weight: number): void {
    this.#taps.push(at);
    this.#taps.pushFloat(weight);
  }

  #row(
    plane: number,
    first: number,
    count: number,
    bias: number,
    residual: number,
    offset: number,
    floor: number,
  ): void {
    this.#rows.push(this.#make(plane), first, count);
    this.#rows.pushFloat(bias);
    this.#rows.push(residual);
    this.#rows.pushFloat(offset);
    this.#rows.pushFloat(floor);
    this.#rows.push(this.#bordered.has(plane) ? 1 : 0);
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
