import type { Entries } from "../graph.js";
import { decodeChannels } from "./channel-set.js";
import type { PlaneList } from "./plane-list.js";
import type { UsedTensor } from "./shared-tensor.js";
import type { ModelSource } from "./source.js";
import { decodeBox, type TapBox } from "./tap-box.js";

/** What a weight takes in memory. */
const ENTRY = 10;

/** Entries in order of their rows; whole numbers where the graph is in integers. */
export class EntryList {
  places: Omit<Entries, "weights">;
  weights: Float32Array | Int8Array;
  /** Row r has the entries from `starts[r]` to, without, `starts[r + 1]`. */
  readonly starts: Int32Array;
  #next = 0;
  #row = 0;

  constructor(source: ModelSource, rows: number, count: number) {
    source.take(ENTRY * count);
    this.places = { inputs: new Int32Array(count), dy: new Int8Array(count), dx: new Int8Array(count) };
    this.weights = source.values === "int8" ? new Int8Array(count) : new Float32Array(count);
    this.starts = new Int32Array(rows + 1);
  }
  push(row: number, input: number, tap: number, { top, left, width }: TapBox, weight: number): void {
    const { inputs, dy, dx } = this.places;
    while (this.#row < row) this.starts[++this.#row] = this.#next;
    inputs[this.#next] = input;
    dy[this.#next] = top + Math.floor(tap / width);
    dx[this.#next] = left + (tap % width);
    this.weights[this.#next++] = weight;
  }
  /** To be called after the last entry. */
  close(): this {
    this.starts.fill(this.#next, this.#row + 1);
    const { inputs, dy, dx } = this.places;
    const first = <A extends Int32Array | Int8Array | Float32Array>(array: A) => array.subarray(0, this.#next) as A;
    this.places = { inputs: first(inputs), dy: first(dy), dx: first(dx) };
    this.weights = first(this.weights);
    return this;
  }
}

/** Weights that a convolution has to itself. */
export function ownEntries(source: ModelSource, planes: PlaneList, count: number): EntryList {
  const { structure } = source;
  const slots = structure.natural("step", "inputs", planes.count);
  if (slots === 0) return new EntryList(source, count, 0).close();
  const base = structure.natural("step", "first input", planes.count - slots);
  const box = decodeBox(structure);
  const taps = box.height * box.width;
  const size = count * slots * taps;
  let list = new EntryList(source, count, 0);
  structure.naturals("gap", "weights", Math.min(source.weightsLeft, size), size, (total) => {
    list = new EntryList(source, count, total);
    let position = 0;
    return (step) => {
      position += step;
      const pair = Math.floor(position / taps);
      if (pair >= count * slots) throw source.fail(`weights within ${count} rows`, "one beyond");
      list.push(Math.floor(pair / slots), base + (pair % slots), position % taps, box, 0);
    };
  });
  for (let k = 0; k < list.weights.length; k++) list.weights[k] = source.weight();
  return list.close();
}

/** Some of the weights of one tensor; in integers only their places, and weights of their own, those of 0 left out. */
export function sharedEntries(
  source: ModelSource,
  planes: PlaneList,
  tensors: readonly UsedTensor[],
  count: number,
): EntryList {
  const { structure } = source;
  const tensor = tensors[structure.natural("step", "number of a tensor", tensors.length - 1)];
  const outputs = decodeChannels(source, tensor.use, "outputs", tensor.outputs);
  if (outputs.length !== count) throw source.fail(`${count} channels of rows`, outputs.length);
  const inputs = decodeChannels(source, tensor.use, "inputs", tensor.inputs);
  source.take(96 * (count + inputs.length));
  const rowOf = new Map(outputs.map((channel, row) => [channel, row]));
  const numbers = structure.integers("plane", "inputs", inputs.length, planes.count - 1);
  const planeOf = new Map(inputs.map((channel, i) => [channel, numbers[i]]));
  const integers = source.values === "int8";
  const scales = integers ? [] : outputs.map(() => source.number());
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
  source.take(ENTRY * total); // for the copy that sorts them
  const list = new EntryList(source, count, total);
  for (let k = 0; k < tensor.positions.length; k++) {
    const { row, input } = place(tensor.positions[k]);
    if (row === undefined || input === undefined) continue;
    const weight = integers ? source.weight() : scales[row] * tensor.values[k];
    if (!integers || weight !== 0) list.push(row, input, tensor.positions[k] % taps, tensor.box, weight);
  }
  return list.close();
}
