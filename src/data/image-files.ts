import { createHash } from "node:crypto";
import { type Dirent, existsSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { EastingError, expected } from "../errors.js";
import { seededOrder } from "./counter-hash.js";
import { type Counts, tenth } from "./dataset.js";

export interface ImageFile {
  readonly path: string;
  readonly bytes: number;
  readonly label: number;
}

/** The images of a folder in stored order: training, validation, test. */
export interface ImageFiles {
  readonly files: readonly ImageFile[];
  readonly classes: readonly string[];
  readonly counts: Counts;
  /** SHA-256 of every name, size and time of change, in order. */
  readonly manifest: string;
  readonly jpeg: boolean;
}

interface Found extends ImageFile {
  readonly line: string;
}

const orderSeed = 45_000; // never change: it decides which images are held out
const extensions = /\.(jpe?g|png|webp|avif|gif|tiff?)$/i;
const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0); // by code unit, the same in every locale

/** What `entry` is once symbolic links are followed, or null where a link leads nowhere. */
function follow(folder: string, entry: Dirent): Stats | null {
  return statSync(join(folder, entry.name), { throwIfNoEntry: false }) ?? null;
}

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith("."))
    .filter((entry) => entry.isDirectory() || (entry.isSymbolicLink() && follow(folder, entry)?.isDirectory()))
    .map((entry) => entry.name)
    .sort(byName);
}

/** The images of one split, class by class, each class by file name. */
function scan(folder: string, split: string, classes: readonly string[]): Found[] {
  const found: Found[] = [];
  for (const name of subfolders(folder)) {
    const label = classes.indexOf(name);
    if (label < 0) {
      throw expected("image folder", `in ${folder} only classes that the training images have`, name);
    }
    const before = found.length;
    const inside = join(folder, name);
    const entries = readdirSync(inside, { withFileTypes: true }).filter(
      (entry) => extensions.test(entry.name) && !entry.name.startsWith("."),
    );
    for (const entry of entries.sort((a, b) => byName(a.name, b.name))) {
      const stats = follow(inside, entry);
      if (!stats?.isFile()) continue;
      const line = `${split}/${name}/${entry.name}\t${stats.size}\t${stats.mtimeMs}\n`;
      found.push({ path: join(inside, entry.name), bytes: stats.size, label, line });
    }
    if (found.length === before) {
      const hint = "put .jpg, .png or .webp files there or remove the folder";
      throw expected("image folder", `images in ${inside}`, "none", hint, "EASTING_DATA_MISSING");
    }
  }
  return found;
}

const shuffle = (found: Found[]) => Array.from(seededOrder(orderSeed, found.length), (i) => found[i]);

/** The folders that hold the splits of `folder`; `test` null where one tree of classes has to be split. */
function layout(folder: string): { train: string; validation: string | null; test: string | null } {
  const has = (...names: string[]) => names.find((name) => subfolders(join(folder, name)).length > 0) ?? null;
  const train = has("train", "training");
  if (!train) return { train: "", validation: null, test: null };
  const test = has("test", "testing");
  const validation = has("val", "validation", "valid");
  return test ? { train, validation, test } : { train, validation: null, test: validation };
}

/** Whether `folder` is a tree of classes with images, split or not. */
export function recogniseImageFolder(folder: string): boolean {
  const train = join(folder, layout(folder).train);
  return subfolders(train).some((name) => readdirSync(join(train, name)).some((file) => extensions.test(file)));
}

/**
 * Lists the images of `folder`. Training images are shuffled once and for all, their last tenth is validation unless a
 * `val` folder stands beside `test`; a plain tree of classes gives its last tenth to the test set first.
 */
export function listImages(folder: string): ImageFiles {
  const split = layout(folder);
  const classes = subfolders(join(folder, split.train));
  if (classes.length < 2) {
    const message = `image folder: expected two or more class folders in ${join(folder, split.train)}, got ${classes.length}`;
    throw new EastingError("EASTING_DATA_MISSING", message, "lay images out as train/<class>/* and test/<class>/*");
  }
  const trainable = shuffle(scan(join(folder, split.train), "train", classes));
  const tested = split.test
    ? scan(join(folder, split.test), "test", classes)
    : trainable.splice(trainable.length - tenth(trainable.length));
  const held = split.validation
    ? scan(join(folder, split.validation), "validation", classes)
    : trainable.splice(trainable.length - tenth(trainable.length));
  const files = [...trainable, ...held, ...tested];
  const manifest = createHash("sha256");
  for (const file of files) manifest.update(file.line);
  return {
    files,
    classes,
    counts: { train: trainable.length, validation: held.length, test: tested.length },
    manifest: manifest.digest("hex"),
    jpeg: files.some((file) => /\.jpe?g$/i.test(file.path)),
  };
}
