import { createHash } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { createGunzip } from "node:zlib";
import { EastingError } from "../errors.js";
import { type CifarFile, type CifarSource, cifar10, cifar100 } from "./cifar-source.js";
import { type DataOptions, hashImages, type ImageDataset, memoryDataset, tenth } from "./dataset.js";
import { type DownloadOptions, download, sha256OfFile } from "./download.js";
import { readTar } from "./tar.js";

export interface CifarOptions extends DataOptions {
  /** Hold the files to the author's sizes and SHA-256. Default true; false allows any whole number of images. */
  verify?: boolean;
  /** Fetch the archive from the author's site where the files are missing. Default false. */
  download?: boolean;
}

export type CifarKind = CifarSource["kind"];

const sources: Record<CifarKind, CifarSource> = { cifar10, cifar100 };
const shape = [3, 32, 32] as const;
const imageSize = 3 * 32 * 32;

/** Where the files of `source` lie: in `folder` itself or in the archive's own folder inside it. */
function locate(source: CifarSource, folder: string): string | null {
  const places = [folder, join(folder, source.folder)];
  return (
    places.find((place) => [source.test, ...source.train].some(({ name }) => existsSync(join(place, name)))) ?? null
  );
}

/** Which CIFAR a folder holds, unpacked or as the author's archive; null when neither. */
export function recogniseCifar(folder: string): CifarKind | null {
  for (const source of [cifar10, cifar100]) {
    const found = locate(source, folder) ?? (existsSync(join(folder, source.archive)) ? folder : null);
    if (found) return source.kind;
  }
  return null;
}

/** Unpacks the data files of an archive whose checksum is right into `folder`; returns where they lie. */
async function unpack(source: CifarSource, archive: string, folder: string, options: DataOptions): Promise<string> {
  const into = join(folder, source.folder);
  const names = new Set([...source.train, source.test].map((file) => file.name));
  await mkdir(into, { recursive: true });
  const total = statSync(archive).size;
  const packed = createReadStream(archive, { highWaterMark: 2 ** 20 });
  const plain = createGunzip({ chunkSize: 2 ** 20 });
  packed.on("error", (error) => plain.destroy(error));
  try {
    for await (const { name, body } of readTar(packed.pipe(plain), (name) => names.has(basename(name)))) {
      const path = join(into, basename(name));
      await writeFile(`${path}.part`, body);
      await rename(`${path}.part`, path);
      options.onProgress?.({ stage: "unpack", done: packed.bytesRead, total });
    }
  } finally {
    packed.destroy();
  }
  return into;
}

/** Downloads the author's archive into `folder`, checks and unpacks it. Returns the folder of the files. */
export async function downloadCifar(
  kind: CifarKind,
  folder: string,
  options: DownloadOptions & { source?: CifarSource } = {},
): Promise<string> {
  const source = options.source ?? sources[kind];
  const archive = join(folder, source.archive);
  const remote = { url: source.url, bytes: source.archiveBytes, sha256: source.archiveSha256 };
  if (!existsSync(archive)) await download(remote, archive, options);
  await checkArchive(source, archive);
  return unpack(source, archive, folder, options);
}

async function checkArchive(source: CifarSource, archive: string): Promise<void> {
  const got = await sha256OfFile(archive);
  if (got === source.archiveSha256) return;
  throw new EastingError(
    "EASTING_DATA_DAMAGED",
    `${source.kind}: expected SHA-256 ${source.archiveSha256} of ${archive}, got ${got}`,
    `remove it and download ${source.url} again`,
  );
}

/** Reads one file, checks it, and appends its pixels and labels at image `at`. */
async function readRecords(source: CifarSource, folder: string, file: CifarFile, verify: boolean) {
  const path = join(folder, file.name);
  const again = `download ${source.url} again`;
  const damaged = (wanted: string, got: string) =>
    new EastingError("EASTING_DATA_DAMAGED", `${source.kind}: expected ${wanted} in ${path}, got ${got}`, again);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    const message = `${source.kind}: expected ${file.name} in ${folder}, got no such file`;
    throw new EastingError("EASTING_DATA_MISSING", message, again);
  });
  const record = source.labelBytes + imageSize;
  const whole = file.images * record;
  if (verify ? bytes.length !== whole : bytes.length === 0 || bytes.length % record !== 0) {
    throw damaged(verify ? `${whole} bytes` : `a whole number of ${record}-byte records`, `${bytes.length} bytes`);
  }
  const count = bytes.length / record;
  const pixels = new Uint8Array(count * imageSize);
  const labels = new Int32Array(count);
  for (let image = 0; image < count; image++) {
    const at = image * record + source.labelBytes;
    labels[image] = bytes[at - 1];
    if (labels[image] >= source.classes.length) {
      throw damaged(`labels from 0 to ${source.classes.length - 1}`, `${labels[image]} at image ${image}`);
    }
    pixels.set(bytes.subarray(at, at + imageSize), image * imageSize);
  }
  if (verify) {
    const got = createHash("sha256").update(bytes).digest("hex");
    if (got !== file.sha256) throw damaged(`SHA-256 ${file.sha256}`, got);
  }
  return { pixels, labels };
}

/**
 * CIFAR-10 or CIFAR-100 in the author's binary form, from `folder`. The last tenth of the training order (5,000 of
 * 50,000) is validation.
 */
export async function openCifar(kind: CifarKind, folder: string, options: CifarOptions = {}): Promise<ImageDataset> {
  const source = sources[kind];
  let place = locate(source, folder);
  const complete = [...source.train, source.test].every(({ name }) => place && existsSync(join(place, name)));
  if (!complete && (existsSync(join(folder, source.archive)) || options.download)) {
    place = await downloadCifar(kind, folder, options);
  }
  if (!place) {
    throw new EastingError(
      "EASTING_DATA_MISSING",
      `${kind}: expected ${source.test.name} in ${folder}, got no such file`,
      `run "easting data download ${kind}", or download ${source.url} by hand and put it there`,
    );
  }
  const verify = options.verify ?? true;
  const parts = [];
  for (const file of [...source.train, source.test]) parts.push(await readRecords(source, place, file, verify));
  const labels = new Int32Array(parts.reduce((sum, part) => sum + part.labels.length, 0));
  const pixels = new Uint8Array(labels.length * imageSize);
  let at = 0;
  for (const part of parts) {
    labels.set(part.labels, at);
    pixels.set(part.pixels, at * imageSize);
    at += part.labels.length;
  }
  const test = parts[parts.length - 1].labels.length;
  const held = tenth(labels.length - test);
  return memoryDataset(
    {
      name: kind,
      classes: source.classes,
      shape,
      mean: source.mean,
      std: source.std,
      augmentation: { pad: 4, mode: source.padding, flip: true },
      hash: hashImages(pixels, labels),
      note: verify ? null : "files not checked against the author's",
    },
    pixels,
    labels,
    { train: labels.length - test - held, validation: held, test },
    options.validation,
  );
}
