import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { EastingError } from "../errors.js";

/** What a cache file says of its pixels. */
export interface CacheHeader {
  /** Of the files it was decoded from and the options that shaped it. */
  readonly manifest: string;
  readonly shape: readonly [number, number, number];
  readonly count: number;
  readonly hash: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

// A cache file: pixels [count][c][h][w] · CRC-32 of each image (u32) · header as JSON · SHA-256 of those two ·
// length of the JSON (u32) · magic. The description stands last, so a file that ends early has none.
const magic = "EASTIMG1";
const tailBytes = 32 + 4 + magic.length;
const headerLimit = 2 ** 20;
const pieceBytes = 2 ** 26;

async function readExactly(file: FileHandle, into: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const length = Math.min(pieceBytes, into.length - at);
    const { bytesRead } = await file.read(into, at, length, position + at);
    if (bytesRead === 0) throw new Error("the file ended early");
    at += bytesRead;
  }
}

/** Writes a cache file under a temporary name; `finish` puts it in place, `discard` removes it. */
export class CacheWriter {
  readonly #checksums: number[] = [];

  private constructor(
    readonly path: string,
    private readonly temporary: string,
    private readonly file: FileHandle,
  ) {}

  static async create(path: string): Promise<CacheWriter> {
    const temporary = `${path}.tmp-${process.pid}-${randomBytes(4).toString("hex")}`;
    return new CacheWriter(path, temporary, await open(temporary, "wx"));
  }

  /** Forgets all images written so far. */
  async restart(): Promise<void> {
    this.#checksums.length = 0;
    await this.file.truncate(0);
  }

  async write(batch: Uint8Array, imageSize: number, position: number): Promise<void> {
    for (let at = 0; at < batch.length; at += imageSize) {
      this.#checksums.push(crc32(batch.subarray(at, at + imageSize)));
    }
    await this.#put(batch, position);
  }

  async finish(header: CacheHeader): Promise<void> {
    const json = Buffer.from(JSON.stringify(header));
    const checksums = Buffer.from(Uint32Array.from(this.#checksums).buffer);
    const sum = createHash("sha256").update(checksums).update(json).digest();
    const length = Buffer.alloc(4);
    length.writeUInt32LE(json.length);
    const [c, h, w] = header.shape;
    await this.#put(Buffer.concat([checksums, json, sum, length, Buffer.from(magic)]), header.count * c * h * w);
    await this.file.sync();
    await this.file.close();
    await rename(this.temporary, this.path);
  }

  async discard(): Promise<void> {
    await this.file.close().catch(() => {});
    await rm(this.temporary, { force: true });
  }

  async #put(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const length = Math.min(pieceBytes, bytes.length - at);
      at += (await this.file.write(bytes, at, length, position + at)).bytesWritten;
    }
  }
}

/** An open cache file; every image is held to its checksum when read. */
export class ImageCache {
  private constructor(
    readonly path: string,
    readonly header: CacheHeader,
    private readonly checksums: Uint32Array,
    private readonly file: FileHandle,
  ) {}

  /** Opens the cache at `path`; null when absent, damaged, or not of `manifest`. */
  static async open(path: string, manifest: string): Promise<ImageCache | null> {
    const file = await open(path, "r").catch(() => null);
    if (!file) return null;
    try {
      const { header, checksums } = await describe(file);
      if (header.manifest === manifest) return new ImageCache(path, header, checksums, file);
    } catch {
      // as good as absent: the images are decoded again
    }
    await file.close();
    return null;
  }

  get imageSize(): number {
    const [c, h, w] = this.header.shape;
    return c * h * w;
  }

  /** Copies stored image `index` into `into`. */
  async read(index: number, into: Uint8Array): Promise<void> {
    await readExactly(this.file, into, index * this.imageSize);
    if (!this.#intact(index, into)) throw damagedCache(this.path);
  }

  /** All pixels `[count][c][h][w]`, or null where an image is not what was written. */
  async readAll(): Promise<Uint8Array | null> {
    const pixels = new Uint8Array(this.header.count * this.imageSize);
    await readExactly(this.file, pixels, 0);
    for (let i = 0; i < this.header.count; i++) {
      if (!this.#intact(i, pixels.subarray(i * this.imageSize, (i + 1) * this.imageSize))) return null;
    }
    return pixels;
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  #intact(index: number, pixels: Uint8Array): boolean {
    return crc32(pixels) === this.checksums[index];
  }
}

export function damagedCache(path: string): EastingError {
  const message = `image folder: expected decoded images in ${path} as they were written, got other bytes`;
  return new EastingError("EASTING_DATA_DAMAGED", message, "remove that file: it is made again from the images");
}

async function describe(file: FileHandle) {
  const { size } = await file.stat();
  const tail = Buffer.alloc(tailBytes);
  await readExactly(file, tail, size - tailBytes);
  const length = tail.readUInt32LE(32);
  if (tail.toString("latin1", 36) !== magic || length > headerLimit) throw new Error("not a cache file");
  const json = Buffer.alloc(length);
  await readExactly(file, json, size - tailBytes - length);
  const header = JSON.parse(json.toString()) as CacheHeader;
  const [c, h, w] = header.shape;
  const pixelBytes = header.count * c * h * w;
  if (size !== pixelBytes + header.count * 4 + length + tailBytes) throw new Error("the file has a wrong length");
  const checksums = new Uint32Array(header.count);
  const bytes = new Uint8Array(checksums.buffer);
  await readExactly(file, bytes, pixelBytes);
  const sum = createHash("sha256").update(bytes).update(json).digest();
  if (!sum.equals(tail.subarray(0, 32))) throw new Error("the header is damaged");
  return { header, checksums };
}
