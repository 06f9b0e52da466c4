import type { Bias, BorderBias } from "../bias.js";
import type { Convolution, Graph, Reading, Row } from "../graph.js";
import {
  biasGrain,
  type Int8AveragePool,
  type Int8Convolution,
  type Int8Graph,
  type Int8Reading,
  type Int8Row,
  NO_FLOOR,
  type Requantization,
} from "../int8-graph.js";
import { type ChannelUse, encodeChannels, unused } from "./channel-set.js";
import { expectedFactor } from "./factor.js";
import { op } from "./format.js";
import { codeShared, encodeTensor, type SharedTensor, type SharedUse, weightsOf } from "./shared-tensor.js";
import { StructureWriter } from "./structure.js";
import { encodeBox, tapBox } from "./tap-box.js";

type AnyStep = Graph["steps"][number] | Int8Graph["steps"][number];

/** Takes a model apart into what its file holds. */
export class Writer {
  readonly structure = new StructureWriter();
  readonly numbers: number[] = [];
  readonly weights: number[] = [];
  readonly #uses = new Map<SharedTensor, ChannelUse>();

  /** Of a graph in integers the zeros of its planes, else null. */
  constructor(private readonly zeros: Uint8Array | null) {}

  /** With `once` shared weights are written once, otherwise at each use. */
  model(graph: Graph | Int8Graph, once: boolean): void {
    const { image, classes } = graph;
    const { structure } = this;
    for (const extent of image.shape) structure.natural("header", extent);
    this.numbers.push(...image.mean, ...image.std);
    if ("logitScale" in graph) this.numbers.push(graph.logitScale);
    const named = classes.some((name, i) => name !== String(i));
    structure.natural("header", classes.length);
    structure.natural("header", named ? 1 : 0);
    if (named) for (const name of classes) structure.text(name);
    const { tensors, uses } = once ? codeShared(graph) : { tensors: [], uses: new Map() };
    structure.natural("header", tensors.length);
    for (const tensor of tensors) encodeTensor(structure, this.zeros ? null : this.weights, tensor);
    structure.natural("header", graph.steps.length);
    for (const step of graph.steps) this.#step(step, uses.get(step), tensors);
  }

  #step(step: AnyStep, use: SharedUse | undefined, tensors: readonly SharedTensor[]): void {
    const { structure } = this;
    structure.natural("step", use ? op.sharedConvolution : op[step.op]);
    structure.natural("step", step.rows.length);
    if (step.op === "averagePool") {
      const rows: readonly { input: Reading | Int8Reading }[] = step.rows;
      if (this.zeros) this.#requantizations(step.rows as Int8AveragePool["rows"]);
      this.#readings(rows.map(({ input }, i) => ({ reading: input, row: step.rows[i] })));
      return;
    }
    structure.natural("step", step.height);
    structure.natural("step", step.width);
    structure.natural("step", step.stride);
    if (step.op === "maxPool") {
      structure.natural("step", step.kernel);
      structure.natural("step", step.padding);
      structure.integers(
        "plane",
        step.rows.map(({ input }) => input),
      );
      return;
    }
    if ("relu" in step) structure.natural("step", step.relu ? 1 : 0);
    if (use) this.#use(step, use, tensors);
    else this.#entries(step);
    if (this.zeros) this.#requantizations((step as Int8Convolution).rows);
    const rows: readonly (Row | Int8Row)[] = step.rows;
    const residuals = rows.flatMap((row, i) => (row.residual ? [{ i, row, reading: row.residual }] : []));
    structure.ascending(
      "row",
      residuals.map(({ i }) => i),
    );
    this.#readings(residuals);
    this.#biases(rows);
  }

  #use(step: Convolution | Int8Convolution, use: SharedUse, tensors: readonly SharedTensor[]): void {
    const { structure } = this;
    structure.natural("step", use.tensor);
    const tensor = tensors[use.tensor];
    const before = this.#uses.get(tensor) ?? unused(tensor);
    this.#uses.set(tensor, before);
    const outputs = step.rows.map(({ channel }) => channel);
    encodeChannels(structure, before, "outputs", tensor.outputs, outputs);
    encodeChannels(structure, before, "inputs", tensor.inputs, use.inputs);
    structure.integers("plane", use.planes);
    if (this.zeros) for (const weight of weightsOf(step, use, tensor)) structure.integer("weight", weight);
    else this.numbers.push(...(step as Convolution).rows.map(({ scale }) => scale));
  }

  #entries(step: Convolution | Int8Convolution): void {
    const { structure } = this;
    const { rows, inputs, weights, dy, dx } = step;
    const all = rows.flatMap((row, r) =>
      Array.from({ length: row.end - row.first }, (_, i) => ({ r, k: row.first + i })),
    );
    if (all.length === 0) {
      structure.natural("step", 0);
      return;
    }
    const box = tapBox(step);
    const planes = all.map(({ k }) => inputs[k]);
    const base = planes.reduce((a, b) => Math.min(a, b));
    const slots = planes.reduce((a, b) => Math.max(a, b)) - base + 1;
    structure.natural("step", slots);
    structure.natural("step", base);
    encodeBox(structure, box);
    const position = ({ r, k }: { r: number; k: number }) =>
      ((r * slots + inputs[k] - base) * box.height + dy[k] - box.top) * box.width + dx[k] - box.left;
    structure.ascending("gap", all.map(position));
    for (const { k, r } of all) {
      if (this.zeros) structure.integer("weight", weights[k]);
      else this.weights.push(Math.fround((rows[r] as Row).scale * weights[k]));
    }
  }

  #requantizations(rows: readonly (Requantization & { readonly plane: number })[]): void {
    for (const { multiplier, shift, plane } of rows) {
      this.structure.natural("multiplier", multiplier - 1);
      this.structure.natural("shift", shift);
      this.structure.natural("zero", (this.zeros as Uint8Array)[plane]);
    }
  }

  #readings(list: readonly { readonly reading: Reading | Int8Reading; readonly row: unknown }[]): void {
    const { structure } = this;
    structure.integers(
      "plane",
      list.map(({ reading }) => reading.plane),
    );
    const none = this.zeros ? NO_FLOOR : Number.NEGATIVE_INFINITY;
    const changed = list.flatMap(({ reading: { offset, floor } }, i) => (offset !== 0 || floor !== none ? [i] : []));
    structure.ascending("reading", changed);
    if (this.zeros)
      for (const { reading, row } of list) this.#factor((reading as Int8Reading).factor, row as Requantization);
    for (const i of changed) {
      const { reading, row } = list[i];
      if (!this.zeros) this.numbers.push(reading.offset, reading.floor);
      else {
        const grain = biasGrain(row as Requantization);
        structure.integer("offset", reading.offset / grain);
        structure.natural("reading", reading.floor === none ? 0 : 1);
        if (reading.floor !== none) structure.integer("offset", reading.floor / grain);
      }
    }
  }

  #factor(factor: number, { multiplier, shift }: Requantization): void {
    const exponent = Math.round(4 * Math.log2((Math.max(1, factor) * multiplier) / 2 ** shift));
    this.structure.integer("exponent", exponent);
    this.structure.integer("factor", factor - expectedFactor(exponent, { multiplier, shift }));
  }

  #biases(rows: readonly (Row | Int8Row)[]): void {
    const { structure } = this;
    const layouts = new Map<string, BorderBias>();
    const key = ({ rows, columns }: BorderBias) => `${rows}/${columns}`;
    const bordered = rows.flatMap(({ bias }, i) => (typeof bias === "number" ? [] : [{ i, bias }]));
    for (const { bias } of bordered) layouts.set(key(bias), bias);
    structure.natural("band", layouts.size);
    for (const { rows, columns } of layouts.values()) {
      structure.ascending("band", rows);
      structure.ascending("band", columns);
    }
    const order = [...layouts.keys()];
    if (order.length > 0)
      structure.ascending(
        "row",
        bordered.map(({ i }) => i),
      );
    structure.integers(
      "layout",
      bordered.map(({ bias }) => order.indexOf(key(bias))),
    );
    for (const row of rows) {
      const values = valuesOf(row.bias);
      if (!this.zeros) this.numbers.push(...values);
      else {
        const grain = biasGrain(row as Int8Row);
        for (let i = 0; i < values.length; i++)
          structure.integer(i === 0 ? "bias" : "step of a bias", (values[i] - (i > 0 ? values[i - 1] : 0)) / grain);
      }
    }
  }
}

const valuesOf = (bias: Bias) => (typeof bias === "number" ? [bias] : Array.from(bias.values));
