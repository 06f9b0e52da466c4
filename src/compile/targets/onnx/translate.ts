import type { Bias } from "../../bias.js";
import {
  type AveragePool,
  type Convolution,
  type Extent,
  type Graph,
  logitsOf,
  type MaxPool,
  type Reading,
} from "../../graph.js";
import { bandsOf } from "./bands.js";
import { type Attributes, floats, integers, node, sparseFloats } from "./model.js";
import { denseWeight, endPadding } from "./window.js";

/** Nodes and constants that compute tensor `logits` from tensor `image`. */
export const translate = (graph: Graph, sparse: boolean): readonly Uint8Array[] => new Translation(graph, sparse).run();

/** Where a plane is: channel of a tensor [N, channels, height, width]. */
interface Place {
  readonly tensor: string;
  readonly channel: number;
  /** Counts through all tensors. */
  readonly position: number;
}

const planesOf = (rows: readonly { readonly plane: number }[]) => rows.map(({ plane }) => plane);

/** Each step becomes one tensor, and what it reads is gathered from those before it. */
class Translation {
  readonly #nodes: Uint8Array[] = [];
  readonly #constants: Uint8Array[] = [];
  readonly #places = new Map<number, Place & Extent>();
  /** Channels of the tensors. */
  readonly #channels = new Map<string, number>();

  constructor(
    private readonly graph: Graph,
    private readonly sparse: boolean,
  ) {}

  run(): readonly Uint8Array[] {
    const { shape, mean, std } = this.graph.image;
    const [channels, height, width] = shape;
    const centred = this.#node("Sub", ["image", this.#floats("mean", [channels, 1, 1], mean)], "centred");
    const scaled = this.#node("Div", [centred, this.#floats("std", [channels, 1, 1], std)], "normalized");
    this.#hold(scaled, [...Array(channels).keys()], { height, width });
    for (const [i, step] of this.graph.steps.entries()) {
      const name = `${step.op}${i + 1}`;
      if (step.op === "convolution") this.#convolution(step, name);
      else if (step.op === "maxPool") this.#maxPool(step, name);
      else this.#averagePool(step, name);
    }
    const logits = planesOf(logitsOf(this.graph).rows);
    this.#node("Flatten", [this.#gather(logits, "classes")], "logits");
    return [...this.#nodes, ...this.#constants];
  }

  #averagePool({ height, width, rows }: AveragePool, name: string): void {
    const readings = rows.map(({ input }) => input);
    const pooled = this.#node("GlobalAveragePool", [this.#read(readings, `${name}.input`)], name);
    this.#hold(pooled, planesOf(rows), { height, width });
  }

  #maxPool({ height, width, kernel, stride, padding, rows }: MaxPool, name: string): void {
    const inputs = rows.map(({ input }) => input);
    const input = this.#place(inputs[0]);
    const end = (from: number, to: number) => endPadding({ input: from, output: to, kernel, stride, start: padding });
    const attributes = {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, end(input.height, height), end(input.width, width)],
    };
    const pooled = this.#node("MaxPool", [this.#gather(inputs, `${name}.input`)], name, attributes);
    this.#hold(pooled, planesOf(rows), { height, width });
  }

  #convolution(step: Convolution, name: string): void {
    // Rows with a residual come first: their sum with the others then needs nothing but zeros behind the residuals.
    const order = (row: Convolution["rows"][number]) =>
      row.residual ? this.#place(row.residual.plane).position : Number.POSITIVE_INFINITY;
    const rows = step.rows.toSorted((a, b) => (order(a) === order(b) ? 0 : order(a) - order(b)));
    let sum = this.#taps({ ...step, rows }, name);
    const residuals = rows.flatMap(({ residual }) => residual ?? []);
    if (residuals.length > 0) {
      let read = this.#read(residuals, `${name}.residual`);
      const others = rows.length - residuals.length;
      if (others > 0) {
        const pads = this.#integers(`${name}.pads`, [0, 0, 0, 0, 0, others, 0, 0]);
        read = this.#node("Pad", [read, pads], `${name}.padded`);
      }
      sum = this.#node("Add", [sum, read], `${name}.sum`);
    }
    const output = step.relu ? this.#node("Relu", [sum], name) : sum;
    this.#hold(output, planesOf(rows), step);
  }

  /** Bias and weighted planes of a convolution. */
  #taps(step: Convolution, name: string): string {
    const { rows, stride } = step;
    const biases = rows.map(({ bias }) => bias);
    const plain = biases.every((bias) => typeof bias === "number");
    const inputs = [...new Set(rows.flatMap(({ first, end }) => [...step.inputs.subarray(first, end)]))].sort(
      (a, b) => this.#place(a).position - this.#place(b).position,
    );
    if (inputs.length === 0) {
      // The same for all images: something of the image's N, times 0.
      const { shape } = this.graph.image;
      const pooled = this.#node("GlobalAveragePool", ["image"], `${name}.images`);
      const zeros = this.#floats(
        `${name}.zeros`,
        [rows.length, shape[0], 1, 1],
        new Float32Array(rows.length * shape[0]),
      );
      return this.#bands(this.#node("Conv", [pooled, zeros], `${name}.nothing`), biases, step, name);
    }
    const { weight, pads } = denseWeight(step, inputs, this.#place(inputs[0]));
    const held = this.#weight(`${name}.weight`, weight.shape, weight.values);
    const terms = plain ? [this.#floats(`${name}.bias`, [rows.length], biases as number[])] : [];
    const attributes = { kernel_shape: weight.shape.slice(2), strides: [stride, stride], pads };
    const taps = this.#node(
      "Conv",
      [this.#gather(inputs, `${name}.input`), held, ...terms],
      `${name}.taps`,
      attributes,
    );
    return plain ? taps : this.#bands(taps, biases, step, name);
  }

  /** Adds biases that differ towards the border: one number per band of rows and columns, spread by two gathers. */
  #bands(sum: string, biases: readonly Bias[], extent: Extent, name: string): string {
    const { values, rows, columns } = bandsOf(biases, extent);
    const shape = [1, biases.length, rows.count, columns.count];
    let map = this.#floats(`${name}.bias`, shape, values);
    map = this.#node("Gather", [map, this.#integers(`${name}.rows`, rows.of)], `${name}.bias.rows`, { axis: 2 });
    map = this.#node("Gather", [map, this.#integers(`${name}.columns`, columns.of)], `${name}.bias.map`, { axis: 3 });
    return this.#node("Add", [sum, map], `${name}.biased`);
  }

  /** max(plane + offset, floor) of each. */
  #read(readings: readonly Reading[], name: string): string {
    const shape = [readings.length, 1, 1];
    const offsets = readings.map(({ offset }) => offset);
    const floors = readings.map(({ floor }) => floor);
    let value = this.#gather(
      readings.map(({ plane }) => plane),
      name,
    );
    if (offsets.some((offset) => offset !== 0))
      value = this.#node("Add", [value, this.#floats(`${name}.offsets`, shape, offsets)], `${name}.shifted`);
    if (floors.some((floor) => floor !== Number.NEGATIVE_INFINITY))
      value = this.#node("Max", [value, this.#floats(`${name}.floors`, shape, floors)], `${name}.clipped`);
    return value;
  }

  /** A tensor of these planes as its channels. */
  #gather(planes: readonly number[], name: string): string {
    const runs: { readonly tensor: string; readonly channels: number[] }[] = [];
    for (const plane of planes) {
      const { tensor, channel } = this.#place(plane);
      if (runs.at(-1)?.tensor !== tensor) runs.push({ tensor, channels: [] });
      runs.at(-1)?.channels.push(channel);
    }
    const parts = runs.map(({ tensor, channels }, i) => {
      const whole = channels.length === this.#channels.get(tensor) && channels.every((channel, k) => channel === k);
      if (whole) return tensor;
      const part = runs.length === 1 ? name : `${name}.${i + 1}`;
      return this.#node("Gather", [tensor, this.#integers(`${part}.channels`, channels)], part, { axis: 1 });
    });
    return parts.length === 1 ? parts[0] : this.#node("Concat", parts, name, { axis: 1 });
  }

  #place(plane: number): Place & Extent {
    return this.#places.get(plane) as Place & Extent;
  }

  #hold(tensor: string, planes: readonly number[], { height, width }: Extent): void {
    this.#channels.set(tensor, planes.length);
    planes.forEach((plane, channel) => {
      this.#places.set(plane, { tensor, channel, position: this.#places.size, height, width });
    });
  }

  #node(op: string, inputs: readonly string[], output: string, attributes?: Attributes): string {
    this.#nodes.push(node(op, inputs, output, attributes));
    return output;
  }

  #floats(name: string, shape: readonly number[], values: readonly number[] | Float32Array): string {
    this.#constants.push(floats(name, shape, Float32Array.from(values)));
    return name;
  }

  #weight(name: string, shape: readonly number[], values: Float32Array): string {
    this.#constants.push((this.sparse ? sparseFloats : floats)(name, shape, values));
    return name;
  }

  #integers(name: string, values: readonly number[]): string {
    this.#constants.push(integers(name, values));
    return name;
  }
}
