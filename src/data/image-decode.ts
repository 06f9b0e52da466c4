import { readFileSync, statSync } from "node:fs";
import type { Sharp } from "sharp";
import { EastingError, expected } from "../errors.js";
import type { DataOptions } from "./dataset.js";
import type { ImageFile } from "./image-files.js";

/** How images become `[c][h][w]`: as they are, or short side to `resize` and the centre of h x w kept. */
export interface Plan {
  readonly shape: readonly [number, number, number];
  readonly resize: number | null;
}

type SharpModule = typeof import("sharp").default;

async function loadSharp(): Promise<SharpModule> {
  try {
    return (await import("sharp")).default;
  } catch (error) {
    throw new EastingError(
      "EASTING_SHARP",
      `image folder: expected the package "sharp", which decodes images, got ${(error as Error).message.split("\n")[0]}`,
      'run "npm install sharp"',
    );
  }
}

function damaged(file: ImageFile, error: unknown): EastingError {
  const why = (error as Error).message.split("\n")[0];
  const hint = "replace or remove that file";
  return new EastingError("EASTING_DATA_DAMAGED", `image folder: expected an image in ${file.path}, got ${why}`, hint);
}

/** 224 from 256 is the usual evaluation crop; other sizes keep its proportion. */
function cropPlan(channels: number, size: number): Plan {
  return { shape: [channels, size, size], resize: Math.round((size * 256) / 224) };
}

/** Small files are read here at once, which is quicker than a trip through the thread pool. */
function source(sharp: SharpModule, file: ImageFile): Sharp {
  const input = file.bytes < 65_536 ? readFileSync(file.path) : file.path;
  return sharp(input, { failOn: "error", sequentialRead: true });
}

/** Thrown when an image does not fit the plan so far; carries the plan that fits both. */
class Misfit extends Error {
  constructor(readonly plan: Plan) {
    super("the images differ");
  }
}

async function isGrey(image: Sharp): Promise<boolean> {
  const { space } = await image.metadata();
  return space === "b-w" || space === "grey16";
}

async function firstPlan(sharp: SharpModule, file: ImageFile, size: number | undefined): Promise<Plan> {
  try {
    const image = source(sharp, file);
    const { autoOrient } = await image.metadata();
    const channels = (await isGrey(image)) ? 1 : 3;
    return size ? cropPlan(channels, size) : { shape: [channels, autoOrient.height, autoOrient.width], resize: null };
  } catch (error) {
    throw damaged(file, error);
  }
}

/** Decodes one image into `into`, `[c][h][w]`. */
async function decode(sharp: SharpModule, file: ImageFile, plan: Plan, into: Uint8Array): Promise<void> {
  const [channels, height, width] = plan.shape;
  let image: Sharp;
  let pixels: { data: Buffer; info: { width: number; height: number; channels: number } };
  try {
    image = source(sharp, file);
    if (channels === 1 && !(await isGrey(image))) {
      throw new Misfit({ ...plan, shape: [3, height, width] });
    }
    image = image.autoOrient();
    if (plan.resize) {
      image = image
        .resize(plan.resize, plan.resize, { fit: "cover" })
        .extract({ left: (plan.resize - width) >> 1, top: (plan.resize - height) >> 1, width, height });
    }
    image = image.removeAlpha().toColourspace(channels === 1 ? "b-w" : "srgb");
    pixels = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  } catch (error) {
    throw error instanceof Misfit ? error : damaged(file, error);
  }
  const { data, info } = pixels;
  if (info.width !== width || info.height !== height) throw new Misfit(cropPlan(channels, 224));
  const plane = width * height;
  for (let c = 0; c < channels; c++) {
    for (let i = 0, from = c; i < plane; i++, from += info.channels) into[c * plane + i] = data[from];
  }
}

const inFlight = 8;
const batchBytes = 64 * 2 ** 20;

/**
 * Decodes `files` in order, in batches `[k][c][h][w]`. Starts from the form of the first image; when a later one
 * differs, `begin` is called again with the wider plan and all images are decoded anew.
 */
export async function decodeImages(
  files: readonly ImageFile[],
  size: number | undefined,
  options: DataOptions,
  begin: (plan: Plan) => (batch: Uint8Array) => Promise<void>,
): Promise<Plan> {
  const sharp = await loadSharp();
  const threads = sharp.concurrency();
  sharp.concurrency(1); // many images at once, one thread each
  try {
    let plan = await firstPlan(sharp, files[0], size);
    for (;;) {
      try {
        await decodeAll(sharp, files, plan, options, begin(plan));
        return plan;
      } catch (error) {
        if (!(error instanceof Misfit)) throw error;
        plan = error.plan;
      }
    }
  } finally {
    sharp.concurrency(threads);
  }
}

async function decodeAll(
  sharp: SharpModule,
  files: readonly ImageFile[],
  plan: Plan,
  options: DataOptions,
  write: (batch: Uint8Array) => Promise<void>,
): Promise<void> {
  const [c, h, w] = plan.shape;
  const imageSize = c * h * w;
  const perBatch = Math.max(inFlight, Math.min(1024, Math.floor(batchBytes / imageSize)));
  let done = 0;
  for (let start = 0; start < files.length; start += perBatch) {
    const end = Math.min(start + perBatch, files.length);
    const batch = new Uint8Array((end - start) * imageSize);
    let next = start;
    let failure: unknown = null;
    const worker = async () => {
      while (next < end && !failure) {
        const i = next++;
        try {
          options.signal?.throwIfAborted();
          const at = (i - start) * imageSize;
          await decode(sharp, files[i], plan, batch.subarray(at, at + imageSize));
          options.onProgress?.({ stage: "decode", done: ++done, total: files.length });
        } catch (error) {
          failure ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    if (failure) throw failure;
    await write(batch);
  }
}

/**
 * One image as bytes `[c][h][w]` for a network that takes this shape: as it is where it has that size, else scaled and
 * cropped as test images are. Fails with EASTING_DATA_DAMAGED, or EASTING_INVALID for a colour image where grey is needed.
 */
export async function readImage(path: string, shape: Plan["shape"]): Promise<Uint8Array> {
  const [channels, height, width] = shape;
  const sharp = await loadSharp();
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === undefined)
    throw new EastingError("EASTING_DATA_MISSING", `image: expected a file at ${path}, got none`, "check the path");
  const file = { path, bytes, label: 0 };
  const into = new Uint8Array(channels * height * width);
  for (const plan of [
    { shape, resize: null },
    { ...cropPlan(channels, height), shape },
  ])
    try {
      await decode(sharp, file, plan, into);
      return into;
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
    }
  throw expected(
    "image",
    `an image that becomes ${shape.join(" × ")}`,
    path,
    "give the network what it was trained on",
  );
}
