import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { SingleBar } from "cli-progress";
import {
  absoluteSource,
  type DataProgress,
  type DataSource,
  type ImageDataset,
  openDataSource,
} from "../data/index.js";
import type { imageFormat } from "../east/index.js";
import { EastingError, expected } from "../errors.js";
import { usageError } from "./failure.js";
import { count, percent } from "./format.js";

export interface Receipt {
  readonly config: Record<string, unknown>;
  readonly data: { readonly source?: DataSource };
}

/** The receipt of the run that a run folder or a checkpoint in one belongs to; null where there is none. */
export async function readReceipt(runOrCheckpoint: string): Promise<Receipt | null> {
  const isFolder = statSync(runOrCheckpoint, { throwIfNoEntry: false })?.isDirectory();
  const run = isFolder ? runOrCheckpoint : dirname(dirname(resolve(runOrCheckpoint)));
  const path = join(run, "receipt.json");
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) return null;
  try {
    return JSON.parse(text) as Receipt;
  } catch {
    throw new EastingError("EASTING_RUN_READ", `${path}: expected JSON, got a damaged file`);
  }
}

/** Opens a data set; downloading and decoding show on stderr unless `quiet`. */
export async function openSource(
  source: DataSource,
  { quiet = false, signal }: { quiet?: boolean; signal?: AbortSignal } = {},
): Promise<ImageDataset> {
  const progress = dataProgress(quiet);
  try {
    return await openDataSource(source, { onProgress: progress.show, signal });
  } finally {
    progress.stop();
  }
}

/** A bar on a terminal, else a line per tenth of the work. */
export function dataProgress(quiet: boolean): { show(progress: DataProgress): void; stop(): void } {
  if (quiet) return { show() {}, stop() {} };
  const unit = (stage: string) => (stage === "decode" ? "images" : "MB");
  const amount = (stage: string, done: number) => count(stage === "decode" ? done : done / 1e6);
  let bar: SingleBar | null = null;
  let shown = "";
  return {
    show({ stage, done, total }) {
      const share = total > 0 ? done / total : 0;
      const text = `${amount(stage, done)} of ${amount(stage, total)} ${unit(stage)}`;
      if (process.stderr.isTTY) {
        if (!bar) {
          bar = new SingleBar({ format: "{stage} [{bar}] {text}", clearOnComplete: true, gracefulExit: false });
          bar.start(1, 0, { stage, text });
        }
        bar.update(share, { stage, text });
        return;
      }
      const tenth = `${stage} ${Math.floor(10 * share)}`;
      if (tenth !== shown) process.stderr.write(`${stage} ${percent(share)}: ${text}\n`);
      shown = tenth;
    },
    stop() {
      bar?.stop();
      bar = null;
    },
  };
}

/** One line about a data set. */
export function describeData({ name, note, shape, classes, train, validation, test }: ImageDataset): string {
  const counts = `${count(train.count)} training, ${count(validation.count)} validation, ${count(test.count)} test images`;
  return `${name}${note ? ` (${note})` : ""}: ${counts} of ${shape.join(" × ")}, ${classes.length} classes`;
}

/** The data named by flags, split as the run's own; without a name the run's own. */
export async function sourceOf(
  run: string,
  { data, imageSize }: { readonly data?: string; readonly imageSize?: number },
): Promise<DataSource> {
  const before = (await readReceipt(run))?.data.source;
  const from = data ? absoluteSource(data) : before?.from;
  if (!from) throw usageError(`${run}: expected a run whose receipt names its data, got none`, "add --data");
  const own = from === before?.from ? before : { from, validation: before?.validation ?? "split" };
  return { ...own, ...(imageSize && { imageSize }) };
}

/** Complains about images that a network trained on `images` cannot classify. */
export function sameFormat(where: string, dataset: ImageDataset, images: ReturnType<typeof imageFormat>): void {
  const format = ({ shape, classes }: Pick<ImageDataset, "shape" | "classes">) =>
    `images of ${shape.join(" × ")} in ${classes.length} classes`;
  if (format(dataset) === format(images)) return;
  const size = dataset.shape[0] === images.shape[0] && dataset.classes.length === images.classes.length;
  const hint = size ? `for a folder add --image-size ${images.shape[1]}` : "choose data like those of the training";
  throw expected(where, format(images), format(dataset), hint);
}
