import type { Bias } from "../bias.js";
import { sortEntries } from "../entries.js";
import type { Convolution, Entries, Extent, MaxPool, Reading, Row, Step } from "../graph.js";
import { limits, op } from "./format.js";
import type { PlaneList } from "./plane-list.js";
import type { SharedTensor } from "./shared-tensor.js";
import type { ModelSource } from "./source.js";
import { decodeBox, type TapBox } from "./tap-box.js";

/** What a row takes in memory, rounded up. */
const ROW = 160;
/** What a weight takes. */
const ENTRY = 10;

export function decodePool(kind: number, source: ModelSource, planes: PlaneList): Step {
  const { structure } = source;
  const count = structure.positive("count of rows", source.planes - planes.count);
  source.take(ROW * count);
  if (kind === op.averagePool) {
    const inputs = decodeReadings(source, planes, count);
    planes.extent(
      inputs.map(({ plane }) => plane),
      { height: 1, width: 1 },
    );
    const extent = { height: 1, width: 1 } as const;
    return {
      op: "averagePool",
      ...extent,
      rows: inputs.map((input, channel) => ({ plane: planes.add(extent), channel, input })),
    };
  }
  const extent = decodeExtent(source);
  const stride = structure.positive("stride", limits.extent);
  const kernel = structure.positive("kernel", limits.extent);
  const padding = structure.natural("padding", Math.floor(kernel / 2));
  const inputs = structure.integers("inputs", count, planes.count - 1);
  const from = planes.extent(inputs, extent);
  const touches = (size: number, input: number) => (size - 1) * stride - padding < input && kernel - padding > 0;
  if (!touches(extent.height, from.height) || !touches(extent.width, from.width))
    throw source.fail("a max-pool whose windows lie over its input", "one beyond it");
  const rows = inputs.map((input, channel) => ({ plane: planes.add(extent), channel, input }));
  return { op: "maxPool", ...extent, kernel, stride, padding, rows } satisfies MaxPool;
}

/** A convolution with weights of its own, or, given `tensors`, with some of those of one. */
export function decodeConvolution(
  source: ModelSource,
  planes: PlaneList,
  tensors: readonly SharedTensor[] | null,
): Convolution {
  const { structure } = source;
  const count = structure.positive("count of rows", source.planes - planes.count);
  source.take(ROW * count);
  const extent = decodeExtent(source);
  const stride = structure.positive("stride", limits.extent);
  const relu = structure.flag("ReLU");
  const list = tensors ? sharedEntries(source, planes, tensors, count) : ownEntries(source, planes, count);
  planes.extent(list.entries.inputs, extent);
  const at = structure.ascending("rows with a residual", count, count - 1);
  const residuals = decodeReadings(source, planes, at.length);
  const { height, width } = planes.extent(
    residuals.map(({ plane }) => plane),
    extent,
  );
  if (height !== extent.height || width !== extent.width)
    throw source.fail(`residuals of ${extent.height} × ${extent.width}`, `${height} × ${width}`);
  const residual = new Map(at.map((row, i) => [row, residuals[i]]));
  const biases = decodeBiases(source, count, extent);
  const rows = biases.map(
    (bias, channel): Row => ({
      plane: planes.add(extent),
      channel,
      first: list.starts[channel],
      end: list.starts[channel + 1],
      scale: 1,
      bias,
      residual: residual.get(channel) ?? null,
    }),
  );
  const step: Convolution = { op: "convolution", ...extent, stride, relu, tensor: null, rows, ...list.entries };
  return tensors ? sortEntries(step) : step; // own entries come in order
}

function decodeExtent({ structure }: ModelSource): Extent {
  return { height: structure.positive("height", limits.extent), width: structure.positive("width", limits.extent) };
}

function decodeReadings(source: ModelSource, planes: PlaneList, count: number): Reading[] {
  const { structure } = source;
  source.take(64 * count);
  const inputs = structure.integers("planes", count, planes.count - 1);
  const readings = inputs.map((plane): Reading => ({ plane, offset: 0, floor: Number.NEGATIVE_INFINITY }));
  for (const i of structure.ascending("offsets", count, count - 1))
    readings[i] = { plane: inputs[i], offset: source.number(), floor: source.number(true) };
  return readings;
}

/** Entries in order of their rows. */
class EntryList {
  readonly entries: Entries;
  /** Row r has the entries from `starts[r]` to, without, `starts[r + 1]`. */
  readonly starts: Int32Array;
  #next = 0;
  #row = 0;

  constructor(rows: number, count: number) {
    const [dy, dx] = [new Int8Array(count), new Int8Array(count)];
    this.entries = { inputs: new Int32Array(count), dy, dx, weights: new Float32Array(count) };
    this.starts = new Int32Array(rows + 1);
  }
  push(row: number, input: number, tap: number, { top, left, width }: TapBox, weight: number): void {
    const { inputs, dy, dx, weights } = this.entries;
    while (this.#row < row) this.starts[++this.#row] = this.#next;
    inputs[this.#next] = input;
    dy[this.#next] = top + Math.floor(tap / width);
    dx[this.#next] = left + (tap % width);
    weights[this.#next++] = weight;
  }
  /** To be called after the last entry. */
  close(): this {
    this.starts.fill(this.#next, this.#row + 1);
    return this;
  }
}

function ownEntries(source: ModelSource, planes: PlaneList, count: number): EntryList {
  const { structure } = source;
  const slots = structure.natural("inputs", planes.count);
  if (slots === 0) return new EntryList(count, 0).close();
  const base = structure.natural("first input", planes.count - slots);
  const box = decodeBox(structure);
  const taps = box.height * box.width;
  let list = new EntryList(count, 0);
  structure.naturals("weights", source.weightsLeft, count * slots * taps, (total) => {
    source.take(ENTRY * total);
    list = new EntryList(count, total);
    let position = 0;
    return (step) => {
      position += step;
      const pair = Math.floor(position / taps);
      if (pair >= count * slots) throw source.fail(`weights within ${count} rows`, "one beyond");
      list.push(Math.floor(pair / slots), base + (pair % slots), position % taps, box, source.weight());
    };
  });
  return list.close();
}

function sharedEntries(
  source: ModelSource,
  planes: PlaneList,
  tensors: readonly SharedTensor[],
  count: number,
): EntryList {
  const { structure } = source;
  const tensor = tensors[structure.natural("number of a tensor", tensors.length - 1)];
  const outputs = structure.ascending("channels of rows", count, tensor.outputs - 1);
  if (outputs.length !== count) throw source.fail(`${count} channels of rows`, outputs.length);
  const inputs = structure.ascending("channels of inputs", tensor.inputs, tensor.inputs - 1);
  source.take(96 * (count + inputs.length));
  const rowOf = new Map(outputs.map((channel, row) => [channel, row]));
  const numbers = structure.integers("inputs", inputs.length, planes.count - 1);
  const planeOf = new Map(inputs.map((channel, i) => [channel, numbers[i]]));
  const scales = outputs.map(() => source.number());
  const taps = tensor.box.height * tensor.box.width;
  const place = (position: number) => {
    const pair = Math.floor(position / taps);
    return { row: rowOf.get(Math.floor(pair / tensor.inputs)), input: planeOf.get(pair % tensor.inputs) };
  };
  let total = 0;
  for (let k = 0; k < tensor.positions.length; k++) {
    const { row, input } = place(tensor.positions[k]);
    if (row !== undefined && input !== undefined) total++;
  }
  source.take(2 * ENTRY * total);
  const list = new EntryList(count, total);
  for (let k = 0; k < tensor.positions.length; k++) {
    const { row, input } = place(tensor.positions[k]);
    if (row === undefined || input === undefined) continue;
    list.push(row, input, tensor.positions[k] % taps, tensor.box, scales[row] * tensor.values[k]);
  }
  return list.close();
}

function decodeBiases(source: ModelSource, count: number, { height, width }: Extent): Bias[] {
  const { structure } = source;
  const bands = (size: number) => {
    const ends = structure.ascending("ends of bands", size, size);
    source.take(8 * ends.length);
    if (ends[0] === 0 || ends.at(-1) !== size) throw source.fail(`bands up to ${size}`, ends.at(-1) ?? "none");
    return ends;
  };
  const layouts = Array.from({ length: structure.natural("count of band layouts", count) }, () => {
    source.take(128);
    return { rows: bands(height), columns: bands(width) };
  });
  const bordered = layouts.length > 0 ? structure.ascending("rows with bands", count, count - 1) : [];
  const chosen = structure.integers("band layouts", bordered.length, Math.max(0, layouts.length - 1));
  const layoutOf = new Map(bordered.map((row, i) => [row, layouts[chosen[i]]]));
  return Array.from({ length: count }, (_, row): Bias => {
    const layout = layoutOf.get(row);
    if (!layout) return source.number();
    const length = layout.rows.length * layout.columns.length;
    source.take(320 + 8 * length);
    return { ...layout, values: Float64Array.from({ length }, () => source.number()) };
  });
}
