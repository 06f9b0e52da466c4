import { expected } from "../errors.js";
import { type Key, keyWords } from "./random.js";
import { type TapOrder, tapOrder } from "./tap-order.js";
import { sizeOf, Tensor } from "./tensor.js";

/** Orders of the nonzeros that the kernels walk, on the device (see native/kernels.def). */
export interface TopologyOrders {
  readonly rowStart: Tensor;
  readonly rowEntry: Tensor;
  readonly columnStart: Tensor;
  readonly columnEntry: Tensor;
  readonly columnValue: Tensor;
}

/** A tap order on the device. */
type TapTensors = { readonly [K in keyof TapOrder]: K extends "nonzeros" ? TapOrder[K] : Tensor };

const indexTensor = (data: Int32Array) => Tensor.from(data, [data.length], { dtype: "i32" }).keep();

/**
 * Which weights of a tensor `[o, i, …taps]` exist: ascending flat indices. Immutable; a change of topology makes a new
 * one. O(nnz) memory.
 */
export class Topology {
  #orders: TopologyOrders | null = null;
  #positions: Tensor | null = null;
  #taps: { readonly rows: TapTensors; readonly columns: TapTensors } | null = null;

  constructor(
    readonly shape: readonly number[],
    readonly indices: Int32Array,
  ) {
    const size = sizeOf(shape);
    for (let k = 0; k < indices.length; k++)
      if (indices[k] < 0 || indices[k] >= size || (k > 0 && indices[k] <= indices[k - 1]))
        throw expected("topology", `ascending indices below ${size}`, `${indices[k]} at position ${k}`);
  }

  get nnz(): number {
    return this.indices.length;
  }
  /** Fraction of weights that exist. */
  get density(): number {
    return this.nnz / sizeOf(this.shape);
  }

  /** Rows and columns of the nonzeros, derived once. */
  get orders(): TopologyOrders {
    this.#orders ??= derive(this.shape, this.indices);
    return this.#orders;
  }

  /** The indices, on the device. */
  get positions(): Tensor {
    this.#positions ??= indexTensor(this.indices);
    return this.#positions;
  }
  /** The nonzeros tap by tap, rows outputs and rows inputs, derived once. */
  get taps(): { readonly rows: TapTensors; readonly columns: TapTensors } {
    const order = (transposed: boolean): TapTensors => {
      const { start, entry, value, nonzeros } = tapOrder(this.shape, this.indices, transposed);
      return { start: indexTensor(start), entry: indexTensor(entry), value: indexTensor(value), nonzeros };
    };
    this.#taps ??= { rows: order(false), columns: order(true) };
    return this.#taps;
  }

  dispose(): void {
    const taps = Object.values(this.#taps ?? {}).flatMap(({ start, entry, value }) => [start, entry, value]);
    for (const tensor of [...Object.values(this.#orders ?? {}), ...taps]) tensor.dispose();
    this.#positions?.dispose();
    this.#orders = this.#positions = this.#taps = null;
  }
}

function derive(shape: readonly number[], indices: Int32Array): TopologyOrders {
  const [o, i] = shape;
  const taps = sizeOf(shape.slice(2));
  const nnz = indices.length;
  const rowStart = new Int32Array(o + 1);
  const rowEntry = new Int32Array(nnz);
  const columnStart = new Int32Array(i + 1);
  const columnEntry = new Int32Array(nnz);
  const columnValue = new Int32Array(nnz);
  for (let k = 0; k < nnz; k++) {
    rowEntry[k] = indices[k] % (i * taps);
    rowStart[Math.floor(indices[k] / (i * taps)) + 1]++;
    columnStart[Math.floor(rowEntry[k] / taps) + 1]++;
  }
  for (let row = 0; row < o; row++) rowStart[row + 1] += rowStart[row];
  for (let column = 0; column < i; column++) columnStart[column + 1] += columnStart[column];
  const next = columnStart.slice();
  for (let k = 0; k < nnz; k++) {
    const at = next[Math.floor(rowEntry[k] / taps)]++;
    columnEntry[at] = Math.floor(indices[k] / (i * taps)) * taps + (rowEntry[k] % taps);
    columnValue[at] = k;
  }
  return {
    rowStart: indexTensor(rowStart),
    rowEntry: indexTensor(rowEntry),
    columnStart: indexTensor(columnStart),
    columnEntry: indexTensor(columnEntry),
    columnValue: indexTensor(columnValue),
  };
}

/** Gradients of a few positions of a weight, ascending. */
export interface LargestGradients {
  readonly positions: Int32Array;
  readonly scores: Float64Array;
}

/**
 * Collects the dense gradient of a sparse weight, including positions that do not exist yet, over every use of the
 * weight in one backward pass. Filled only while `wanted`.
 */
export class DenseGradient {
  wanted = false;
  /**
   * Set where growth is all that it is wanted for: as soon as every use has added its part, what stays is the gradient of
   * the weights that exist and the `count` largest of the others (ties by `key`). Whatever then leaves, the largest
   * `count` of what is missing are among them, in O(nnz) memory.
   */
  limit: { readonly count: number; readonly key: Key } | null = null;
  tensor: Tensor | null = null;
  #uses = 0;
  #candidates: readonly (readonly [positions: Tensor, scores: Tensor])[] = [];

  /** A use of the weight has run forward. */
  used(): void {
    this.#uses++;
  }
  /** Where a use of the weight adds its part; `added` ends it. */
  into(shape: readonly number[], like: Tensor): { tensor: Tensor; accumulate: boolean } {
    const accumulate = this.tensor !== null;
    this.tensor ??= Tensor.empty(shape, { dtype: like.dtype, device: like.device }).keep();
    return { tensor: this.tensor, accumulate };
  }
  added({ indices }: Topology): void {
    const { tensor, limit } = this;
    if (--this.#uses > 0 || !limit || !tensor) return;
    const { device, dtype } = tensor;
    const existing = Tensor.from(indices, [indices.length], { dtype: "i32", device }).keep();
    const missing = Tensor.empty([limit.count], { dtype: "i32", device }).keep();
    tensor.kernels.top_k(tensor.buffer, null, existing.buffer, keyWords(limit.key), missing.buffer);
    this.#candidates = [existing, missing].map((positions) => {
      const scores = Tensor.empty(positions.shape, { dtype, device }).keep();
      tensor.kernels.gather(tensor.buffer, positions.buffer, scores.buffer);
      return [positions, scores] as const;
    });
    tensor.dispose();
    this.tensor = null;
  }
  /** What `limit` left; null when the whole gradient is there, or nothing. Blocks until it is computed. */
  candidates(): LargestGradients | null {
    if (this.#candidates.length === 0) return null;
    const [[a, x], [b, y]] = this.#candidates.map((pair) => pair.map((tensor) => tensor.dataSync()));
    const positions = new Int32Array(a.length + b.length);
    const scores = new Float64Array(positions.length);
    for (let k = 0, i = 0, j = 0; k < positions.length; k++) {
      const first = j === b.length || (i < a.length && a[i] < b[j]);
      positions[k] = first ? a[i] : b[j];
      scores[k] = first ? x[i++] : y[j++];
    }
    return { positions, scores };
  }
  clear(): void {
    this.wanted = false;
    this.limit = null;
    this.#uses = 0;
    this.tensor?.dispose();
    this.tensor = null;
    for (const tensor of this.#candidates.flat()) tensor.dispose();
    this.#candidates = [];
  }
}

/** A weight whose missing entries are nowhere: values `[nnz]` (the trainable leaf) at the places of a topology. */
export class SparseTensor {
  constructor(
    readonly topology: Topology,
    readonly values: Tensor,
    readonly denseGradient: DenseGradient = new DenseGradient(),
    /** What this use of the weight is multiplied by (weight sharing), already applied to `values`. */
    readonly factor: Tensor | null = null,
  ) {
    if (values.size !== topology.nnz) throw expected("sparse tensor", `${topology.nnz} values`, values.size);
  }
  get shape(): readonly number[] {
    return this.topology.shape;
  }
  get nnz(): number {
    return this.topology.nnz;
  }
}
