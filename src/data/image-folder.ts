import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { EastingError, expected } from "../errors.js";
import { cifar10 } from "./cifar-source.js";
import {
  type Augmentation,
  checkRead,
  type DataOptions,
  type Description,
  type ImageDataset,
  type ImageSet,
  memoryDataset,
  ranges,
} from "./dataset.js";
import { CacheWriter, damagedCache, ImageCache } from "./image-cache.js";
import { decodeImages } from "./image-decode.js";
import { type ImageFiles, listImages } from "./image-files.js";
import { ChannelStatistics } from "./statistics.js";

export interface ImageFolderOptions extends DataOptions {
  /** Side of the square images to make. Default: the images' own size if they share one, else 224. */
  size?: number;
  /** Mirror images while training; false suits digits and text. Default true. */
  flip?: boolean;
  /** Where decoded pixels are kept. Default: `.easting-cache` in the folder, else the user's cache folder. */
  cacheFolder?: string;
  /** Decode again even where a cache is there. */
  refresh?: boolean;
  /** Sets with more bytes of pixels are read from the cache file as needed. Default 2 GiB. */
  memoryLimit?: number;
}

interface CachePlace {
  readonly folder: string;
  /** Tells data folders apart where they share a place. */
  readonly prefix: string;
  /** Lies where other users can write: only a folder of this user's own will do. */
  readonly exposed?: boolean;
}

/** Folders to keep decoded images in, best first. */
function cachePlaces(folder: string, options: ImageFolderOptions): CachePlace[] {
  const prefix = `${createHash("sha256").update(resolve(folder)).digest("hex").slice(0, 16)}-`;
  if (options.cacheFolder) return [{ folder: options.cacheFolder, prefix }];
  const user = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return [
    { folder: join(folder, ".easting-cache"), prefix: "" },
    { folder: join(user, "easting", "images"), prefix },
    { folder: join(tmpdir(), `easting-${process.getuid?.() ?? "user"}`), prefix, exposed: true },
  ];
}

/** Whether nobody but this user could have put files into `place`. */
function trusted(place: CachePlace): boolean {
  if (!place.exposed || process.getuid === undefined) return true;
  return statSync(place.folder, { throwIfNoEntry: false })?.uid === process.getuid();
}

/** Makes the folder if need be; false where this user cannot write. */
function usable(place: CachePlace): boolean {
  try {
    mkdirSync(place.folder, { recursive: true, mode: place.exposed ? 0o700 : 0o777 });
    accessSync(place.folder, constants.W_OK);
    return trusted(place);
  } catch {
    return false;
  }
}

/** Removes what decodes that were killed more than a day ago left behind. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!/\.pixels\.tmp-/.test(name)) continue;
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > 24 * 3600 * 1000) rmSync(path, { force: true });
  }
}

/** Decodes all images into a new cache file at `path`. */
async function build(path: string, manifest: string, images: ImageFiles, options: ImageFolderOptions): Promise<void> {
  const trainable = images.counts.train + images.counts.validation;
  const writer = await CacheWriter.create(path);
  try {
    let statistics = new ChannelStatistics(0);
    let hash = createHash("sha256");
    const { shape } = await decodeImages(images.files, options.size, options, ({ shape }) => {
      const [channels, height, width] = shape;
      const imageSize = channels * height * width;
      let done = 0;
      statistics = new ChannelStatistics(channels);
      hash = createHash("sha256");
      return async (batch) => {
        if (done === 0) await writer.restart();
        await writer.write(batch, imageSize, done * imageSize);
        hash.update(batch);
        const training = Math.max(0, trainable - done) * imageSize;
        statistics.add(batch.subarray(0, training), height * width);
        done += batch.length / imageSize;
      };
    });
    hash.update(new Uint8Array(Int32Array.from(images.files, (file) => file.label).buffer));
    const count = images.files.length;
    await writer.finish({ manifest, shape, count, hash: hash.digest("hex"), ...statistics.result() });
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

/** Finds the decoded images of a folder, or decodes them. */
async function openCache(folder: string, images: ImageFiles, options: ImageFolderOptions): Promise<ImageCache> {
  const form = options.size ? String(options.size) : "own";
  const manifest = createHash("sha256").update(`${form}\n${images.manifest}`).digest("hex");
  const places = cachePlaces(folder, options);
  const file = (place: CachePlace) => join(place.folder, `${place.prefix}${form}.pixels`);
  if (!options.refresh) {
    for (const place of places.filter(trusted)) {
      const cache = await ImageCache.open(file(place), manifest);
      if (cache) return cache;
    }
  }
  const place = places.find(usable);
  if (place) {
    sweep(place.folder);
    await build(file(place), manifest, images, options);
    const cache = await ImageCache.open(file(place), manifest);
    if (cache) return cache;
  }
  const tried = places.map((place) => place.folder).join(", ");
  const message = `image folder: expected a folder to keep decoded images in, got no access to ${tried}`;
  throw new EastingError("EASTING_DATA_CACHE", message, "pass cacheFolder");
}

/** Images of a cache file from `from` to `to`, read as they are asked for. */
function fileSet(cache: ImageCache, labels: Int32Array, [from, to]: readonly [number, number]): ImageSet {
  const size = cache.imageSize;
  return {
    count: to - from,
    labels: labels.subarray(from, to),
    pixels: null,
    async read(indices, into) {
      checkRead(to - from, size, indices, into);
      const reads = Array.from(indices, (index, k) =>
        cache.read(from + index, into.subarray(k * size, (k + 1) * size)),
      );
      await Promise.all(reads);
    },
  };
}

/** All pixels of a cache, which is closed then; null where they are not what was written. */
async function loadAll(cache: ImageCache): Promise<Uint8Array | null> {
  try {
    return await cache.readAll();
  } finally {
    await cache.close();
  }
}

function augmentationOf(shape: readonly [number, number, number], isCifar10: boolean, flip = true): Augmentation {
  if (isCifar10) return { pad: 4, mode: "reflect", flip };
  return { pad: Math.round(Math.min(shape[1], shape[2]) / 8), mode: "zero", flip };
}

/**
 * Images laid out as `train/<class>/*` and `test/<class>/*` (or `val`), or as one tree `<class>/*` that is split.
 * The first opening decodes them into a cache file; later ones read that.
 */
export async function openImageFolder(folder: string, options: ImageFolderOptions = {}): Promise<ImageDataset> {
  const { size, memoryLimit = 2 * 2 ** 30 } = options;
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 1)) {
    throw expected("image folder size", "a whole number of at least 1", size);
  }
  const images = listImages(folder);
  const labels = Int32Array.from(images.files, (file) => file.label);
  const parts = ranges(images.counts, options.validation);
  let cache = await openCache(folder, images, options);
  const inMemory = labels.length * cache.imageSize <= memoryLimit;
  let pixels = inMemory ? await loadAll(cache) : null;
  if (inMemory && !pixels) {
    cache = await openCache(folder, images, { ...options, refresh: true });
    pixels = await loadAll(cache);
    if (!pixels) throw damagedCache(cache.path);
  }
  const { shape, hash, mean, std } = cache.header;
  const isCifar10 = shape.join() === "3,32,32" && images.classes.join() === cifar10.classes.join();
  const description: Description = {
    name: isCifar10 ? "cifar10" : basename(resolve(folder)),
    classes: images.classes,
    shape,
    mean: isCifar10 ? cifar10.mean : mean,
    std: isCifar10 ? cifar10.std : std,
    augmentation: augmentationOf(shape, isCifar10, options.flip),
    hash,
    note: images.jpeg ? "JPEG images" : null,
  };
  if (!pixels) {
    return {
      ...description,
      train: fileSet(cache, labels, parts.train),
      validation: fileSet(cache, labels, parts.validation),
      test: fileSet(cache, labels, parts.test),
      close: () => cache.close(),
    };
  }
  return memoryDataset(description, pixels, labels, images.counts, options.validation);
}
