import { createHash } from "node:crypto";
import { expected } from "../errors.js";

/** A run of images with their labels. */
export interface ImageSet {
  readonly count: number;
  readonly labels: Int32Array;
  /** All pixels `[count][c][h][w]` when they fit in memory, else null. */
  readonly pixels: Uint8Array | null;
  /** Copies the images `indices` into `into`, `[k][c][h][w]`. */
  read(indices: Int32Array, into: Uint8Array): Promise<void>;
}

/** Random crop after padding by `pad` pixels on each side, and mirroring left to right. */
export interface Augmentation {
  readonly pad: number;
  readonly mode: "reflect" | "zero";
  readonly flip: boolean;
}

export interface ImageDataset {
  readonly name: string;
  readonly classes: readonly string[];
  /** `[c, h, w]` of every image. */
  readonly shape: readonly [number, number, number];
  /** Per channel, of pixel / 255. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly augmentation: Augmentation;
  readonly train: ImageSet;
  /** Empty (`count` 0) under `validation: "none"`. */
  readonly validation: ImageSet;
  readonly test: ImageSet;
  /** SHA-256 of all pixels, then all labels (Int32, little endian): training, validation, test in order. */
  readonly hash: string;
  /** What a reader of the numbers must know, such as "JPEG images". */
  readonly note: string | null;
  /** Releases an open cache file; reading afterwards fails. */
  close(): Promise<void>;
}

export interface DataProgress {
  readonly stage: "download" | "unpack" | "decode";
  /** Bytes for download and unpack, images for decode. */
  readonly done: number;
  readonly total: number;
}

export interface DataOptions {
  /** "split" holds out the last 10 % of the training images; "none" trains on all of them. Default "split". */
  validation?: "split" | "none";
  /** Called often; cheap handlers only. */
  onProgress?: (progress: DataProgress) => void;
  /** Stops a download or decode. */
  signal?: AbortSignal;
}

/** What a data set is, apart from its images. */
export type Description = Pick<
  ImageDataset,
  "name" | "classes" | "shape" | "mean" | "std" | "augmentation" | "hash" | "note"
>;

/** How many images each part has, in stored order: training, validation, test. */
export interface Counts {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
}

/** How many of `count` images are held out: one in ten, at least one, never all. */
export function tenth(count: number): number {
  return count < 2 ? 0 : Math.max(1, Math.floor(count / 10));
}

/** First and one-past-last stored image of each part. */
export function ranges(counts: Counts, validation: "split" | "none" = "split") {
  if (validation !== "split" && validation !== "none") {
    throw expected("data validation", '"split" or "none"', JSON.stringify(validation));
  }
  const trainable = counts.train + counts.validation;
  const train = validation === "none" ? trainable : counts.train;
  return {
    train: [0, train],
    validation: [train, trainable],
    test: [trainable, trainable + counts.test],
  } as const;
}

/** SHA-256 over pixels then labels, the identity of a data set. */
export function hashImages(pixels: Uint8Array, labels: Int32Array): string {
  const hash = createHash("sha256").update(pixels);
  return hash.update(new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength)).digest("hex");
}

/** Complains about indices outside the set or a buffer of the wrong length. */
export function checkRead(count: number, imageSize: number, indices: Int32Array, into: Uint8Array): void {
  if (into.length !== indices.length * imageSize) {
    throw expected("ImageSet.read", `a buffer of ${indices.length * imageSize} bytes`, into.length);
  }
  for (const index of indices) {
    if (index < 0 || index >= count) throw expected("ImageSet.read", `indices from 0 to ${count - 1}`, index);
  }
}

function memorySet(pixels: Uint8Array, labels: Int32Array, imageSize: number): ImageSet {
  return {
    count: labels.length,
    labels,
    pixels,
    async read(indices, into) {
      checkRead(labels.length, imageSize, indices, into);
      for (let k = 0; k < indices.length; k++) {
        const at = indices[k] * imageSize;
        into.set(pixels.subarray(at, at + imageSize), k * imageSize);
      }
    },
  };
}

/** A data set whose pixels `[count][c][h][w]` lie in memory, its parts one after another. */
export function memoryDataset(
  description: Description,
  pixels: Uint8Array,
  labels: Int32Array,
  counts: Counts,
  validation: "split" | "none" = "split",
): ImageDataset {
  const [c, h, w] = description.shape;
  const size = c * h * w;
  const parts = ranges(counts, validation);
  const part = ([from, to]: readonly [number, number]) =>
    memorySet(pixels.subarray(from * size, to * size), labels.subarray(from, to), size);
  return {
    ...description,
    train: part(parts.train),
    validation: part(parts.validation),
    test: part(parts.test),
    async close() {},
  };
}
