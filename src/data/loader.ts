import { expected } from "../errors.js";
import type { ConvShape } from "../native.js";
import { type Key, keyWords, permutation, Tensor } from "../tensor/index.js";
import type { ImageDataset, ImageSet } from "./dataset.js";

/** Normalised images `[c, h, w, n]`, labels `[n]`. */
export interface Batch {
  readonly images: Tensor;
  readonly labels: Tensor;
  readonly count: number;
}

export type Split = "train" | "validation" | "test";

/**
 * Turns a data set into batches on the device: order and augmentation are functions of (seed, epoch, image), so any
 * batch can be made again. Sets that fit in memory live on the device as bytes; others are read one batch ahead.
 */
export class Loader {
  readonly #mean: Tensor;
  readonly #deviation: Tensor;
  readonly #resident = new Map<Split, Tensor>();
  #order: { epoch: number; order: Int32Array } | null = null;
  #ahead: { key: string; bytes: Promise<Uint8Array> } | null = null;

  constructor(
    readonly dataset: ImageDataset,
    readonly batch: number,
    readonly seed: number,
  ) {
    if (!Number.isInteger(batch) || batch < 1) throw expected("batch", "a whole number of at least 1", batch);
    this.#mean = Tensor.from(dataset.mean, [dataset.mean.length]).keep();
    this.#deviation = Tensor.from(dataset.std, [dataset.std.length]).keep();
  }

  /** Batches per epoch; the last may be smaller. */
  get stepsPerEpoch(): number {
    return this.batches("train");
  }
  batches(split: Split): number {
    return Math.ceil(this.dataset[split].count / this.batch);
  }

  /** Batch `index` (from 0) of training epoch `epoch` (from 1), shuffled and augmented. */
  train(epoch: number, index: number): Promise<Batch> {
    if (this.#order?.epoch !== epoch) {
      const key = { seed: this.seed, purpose: "shuffle", step: epoch } as const;
      this.#order = { epoch, order: permutation(key, this.dataset.train.count) };
    }
    const { order } = this.#order;
    return this.#load("train", order, index, { seed: this.seed, purpose: "augment", step: epoch });
  }

  /** Batch `index` of a split in its own order, or its first `atMost` images, without augmentation. */
  plain(split: Split, index: number, atMost = this.batch): Promise<Batch> {
    const end = Math.min(this.dataset[split].count, index * this.batch + (atMost < this.batch ? atMost : Infinity));
    const order = Int32Array.from({ length: end }, (_, i) => i);
    return this.#load(split, order, index, null);
  }

  dispose(): void {
    for (const tensor of [this.#mean, this.#deviation, ...this.#resident.values()]) tensor.dispose();
    this.#resident.clear();
  }

  async #load(split: Split, order: Int32Array, index: number, random: Key | null): Promise<Batch> {
    const set = this.dataset[split];
    const slice = (i: number) => order.subarray(i * this.batch, (i + 1) * this.batch);
    const chosen = slice(index);
    let source = this.#bytes(split, set);
    let positions = chosen;
    let key = random;
    if (!source) {
      const [c, h, w] = this.dataset.shape;
      const name = (i: number) => `${split}/${random?.step}/${i}`;
      const read = async (i: number) => {
        const bytes = new Uint8Array(slice(i).length * c * h * w);
        await set.read(slice(i), bytes);
        return bytes;
      };
      const bytes = await (this.#ahead?.key === name(index) ? this.#ahead.bytes : read(index));
      source = Tensor.from(bytes, [bytes.length], { dtype: "u8" });
      positions = Int32Array.from(chosen, (_, i) => i);
      key = random && { ...random, stream: index + 1 };
      if (slice(index + 1).length > 0) {
        this.#ahead = { key: name(index + 1), bytes: read(index + 1) };
        this.#ahead.bytes.catch(() => {}); // reported when the batch is asked for
      }
    }
    return this.#augment(
      source,
      positions,
      key,
      Int32Array.from(chosen, (i) => set.labels[i]),
      set.pixels === null,
    );
  }

  #bytes(split: Split, set: ImageSet): Tensor | null {
    if (!set.pixels) return null;
    let tensor = this.#resident.get(split);
    if (!tensor) {
      tensor = Tensor.from(set.pixels, [set.pixels.length], { dtype: "u8" }).keep();
      this.#resident.set(split, tensor);
    }
    return tensor;
  }

  #augment(source: Tensor, positions: Int32Array, key: Key | null, labels: Int32Array, temporary: boolean): Batch {
    const [c, h, w] = this.dataset.shape;
    const { pad, mode, flip } = this.dataset.augmentation;
    const n = positions.length;
    const images = Tensor.empty([c, h, w, n]);
    const indices = Tensor.from(positions, [n], { dtype: "i32" });
    const shape: ConvShape = [c, h, w, n, c, 1, 1, 1, pad];
    const words = keyWords(key ?? { seed: this.seed, purpose: "augment" });
    // biome-ignore format: the kernel's argument order
    images.kernels.augment(source.buffer, indices.buffer, this.#mean.buffer, this.#deviation.buffer, shape, mode === "reflect", flip, key !== null, words, images.buffer);
    indices.dispose();
    if (temporary) source.dispose();
    return { images, labels: Tensor.from(labels, [n], { dtype: "i32" }), count: n };
  }
}
