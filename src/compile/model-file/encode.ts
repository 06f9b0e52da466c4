import { crc32 } from "node:zlib";
import { expected } from "../../errors.js";
import type { Bias, BorderBias } from "../bias.js";
import type { Convolution, Graph, Reading, Row, Step } from "../graph.js";
import { ByteWriter } from "./byte-stream.js";
import { HEADER, limits, MAGIC, op, VERSION, type WeightType, weightTypes } from "./format.js";
import { toHalf } from "./half.js";
import { codeShared, encodeTensor, type SharedUse } from "./shared-tensor.js";
import { encodeBox, tapBox } from "./tap-box.js";

export interface EncodeOptions {
  /** How weights are stored; biases are f32 always. f32 by default. */
  readonly values?: WeightType;
}

/** The model file of a packed and rounded graph. */
export function encodeModel(graph: Graph, { values = "f32" }: EncodeOptions = {}): Uint8Array {
  const writer = new Writer();
  writer.model(graph);
  return assemble(writer, graph, values);
}

function assemble({ structure, numbers, weights }: Writer, { image, steps }: Graph, values: WeightType): Uint8Array {
  const type = weightTypes.findIndex(({ name }) => name === values);
  const planes = steps.reduce((sum, { rows }) => sum + rows.length, image.shape[0]);
  if (planes > limits.planes) throw expected("model file", `at most ${limits.planes} channels`, planes);
  const weightsAt = HEADER + 4 * numbers.length;
  const structureAt = weightsAt + 4 * Math.ceil((weights.length * weightTypes[type].bytes) / 4);
  const text = structure.bytes;
  const file = new Uint8Array(structureAt + text.length + 4);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(MAGIC));
  view.setUint16(8, VERSION, true);
  view.setUint8(10, type);
  for (const [i, count] of [file.length, numbers.length, weights.length, text.length, planes].entries())
    view.setUint32(12 + 4 * i, count, true);
  for (const [i, number] of numbers.entries()) view.setFloat32(HEADER + 4 * i, number, true);
  for (const [i, weight] of weights.entries()) {
    if (values === "f32") view.setFloat32(weightsAt + 4 * i, weight, true);
    else {
      const half = toHalf(weight);
      if ((half & 0x7fff) === 0x7c00)
        throw expected("model file", "weights within ±65504 for f16", weight, "write f32 values");
      view.setUint16(weightsAt + 2 * i, half, true);
    }
  }
  file.set(text, structureAt);
  view.setUint32(file.length - 4, crc32(file.subarray(0, -4)), true);
  return file;
}

class Writer {
  readonly structure = new ByteWriter();
  readonly numbers: number[] = [];
  readonly weights: number[] = [];

  model(graph: Graph): void {
    const { image, classes, steps } = graph;
    for (const extent of image.shape) this.structure.natural(extent);
    this.numbers.push(...image.mean, ...image.std);
    const named = classes.some((name, i) => name !== String(i));
    this.structure.natural(classes.length);
    this.structure.byte(named ? 1 : 0);
    if (named) for (const name of classes) this.structure.text(name);
    const { tensors, uses } = codeShared(graph);
    this.structure.natural(tensors.length);
    for (const tensor of tensors) encodeTensor(this.structure, this.weights, tensor);
    this.structure.natural(steps.length);
    for (const step of steps) this.#step(step, uses.get(step));
  }

  #step(step: Step, use: SharedUse | undefined): void {
    const { structure } = this;
    structure.byte(use ? op.sharedConvolution : op[step.op]);
    structure.natural(step.rows.length);
    if (step.op === "averagePool") {
      this.#readings(step.rows.map(({ input }) => input));
      return;
    }
    structure.natural(step.height);
    structure.natural(step.width);
    structure.natural(step.stride);
    if (step.op === "maxPool") {
      structure.natural(step.kernel);
      structure.natural(step.padding);
      structure.integers(step.rows.map(({ input }) => input));
      return;
    }
    structure.byte(step.relu ? 1 : 0);
    if (use) this.#use(step, use);
    else this.#entries(step);
    const residuals = step.rows.flatMap(({ residual }, i) => (residual ? [[i, residual] as const] : []));
    structure.ascending(residuals.map(([i]) => i));
    this.#readings(residuals.map(([, residual]) => residual));
    this.#biases(step.rows.map(({ bias }) => bias));
  }

  #use({ rows }: Convolution, { tensor, inputs, planes }: SharedUse): void {
    this.structure.natural(tensor);
    this.structure.ascending(rows.map(({ channel }) => channel));
    this.structure.ascending(inputs);
    this.structure.integers(planes);
    this.numbers.push(...rows.map(({ scale }) => scale));
  }

  #entries(step: Convolution): void {
    const { rows, inputs, weights, dy, dx } = step;
    const all = rows.flatMap((row, r) => range(row).map((k) => ({ r, k })));
    if (all.length === 0) {
      this.structure.natural(0);
      return;
    }
    const box = tapBox(step);
    const planes = all.map(({ k }) => inputs[k]);
    const base = planes.reduce((a, b) => Math.min(a, b));
    const slots = planes.reduce((a, b) => Math.max(a, b)) - base + 1;
    this.structure.natural(slots);
    this.structure.natural(base);
    encodeBox(this.structure, box);
    const position = ({ r, k }: { r: number; k: number }) =>
      ((r * slots + inputs[k] - base) * box.height + dy[k] - box.top) * box.width + dx[k] - box.left;
    this.structure.ascending(all.map(position));
    for (const { k, r } of all) this.weights.push(Math.fround(rows[r].scale * weights[k]));
  }

  #readings(readings: readonly Reading[]): void {
    this.structure.integers(readings.map(({ plane }) => plane));
    const changed = readings.flatMap(({ offset, floor }, i) =>
      offset !== 0 || floor !== Number.NEGATIVE_INFINITY ? [i] : [],
    );
    this.structure.ascending(changed);
    for (const i of changed) this.numbers.push(readings[i].offset, readings[i].floor);
  }

  #biases(biases: readonly Bias[]): void {
    const layouts = new Map<string, BorderBias>();
    const key = ({ rows, columns }: BorderBias) => `${rows}/${columns}`;
    const bordered = biases.flatMap((bias, i) => (typeof bias === "number" ? [] : [{ i, bias }]));
    for (const { bias } of bordered) layouts.set(key(bias), bias);
    this.structure.natural(layouts.size);
    for (const { rows, columns } of layouts.values()) {
      this.structure.ascending(rows);
      this.structure.ascending(columns);
    }
    const order = [...layouts.keys()];
    if (order.length > 0) this.structure.ascending(bordered.map(({ i }) => i));
    this.structure.integers(bordered.map(({ bias }) => order.indexOf(key(bias))));
    for (const bias of biases) this.numbers.push(...(typeof bias === "number" ? [bias] : bias.values));
  }
}

const range = ({ first, end }: Row) => Array.from({ length: end - first }, (_, i) => first + i);
