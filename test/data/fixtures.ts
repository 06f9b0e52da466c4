import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { afterAll } from "vitest";

/** A folder that is removed when the tests of the file are over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "easting-data-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** CIFAR records: image i of a file has label `i % classes` and all pixels `first + i`. */
export function cifarRecords(count: number, first: number, labelBytes: 1 | 2 = 1, classes = 10): Buffer {
  const record = labelBytes + 3072;
  const bytes = Buffer.alloc(count * record);
  for (let i = 0; i < count; i++) {
    bytes.fill(first + i, i * record + labelBytes, (i + 1) * record);
    bytes[i * record + labelBytes - 1] = i % classes;
  }
  return bytes;
}

/** The six files of CIFAR-10 with two images each in the training files and three in the test file. */
export function tinyCifar10(): Record<string, Buffer> {
  const files: Record<string, Buffer> = { "test_batch.bin": cifarRecords(3, 100) };
  for (let i = 1; i <= 5; i++) files[`data_batch_${i}.bin`] = cifarRecords(2, i * 10);
  return files;
}

export function writeFiles(folder: string, files: Record<string, Buffer>): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  return folder;
}

export function tar(files: Record<string, Buffer>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, body]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write(`${body.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("        0ustar\0", 148);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export const tarGz = (files: Record<string, Buffer>) => gzipSync(tar(files));

/** A PNG or JPEG of one colour; grey where `colour` is a number. */
export async function writeImage(path: string, colour: number | [number, number, number], width = 4, height = width) {
  mkdirSync(join(path, ".."), { recursive: true });
  const [r, g, b] = typeof colour === "number" ? [colour, colour, colour] : colour;
  const image = sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
  await image.toColourspace(typeof colour === "number" ? "b-w" : "srgb").toFile(path);
}

/** `<split>/<class>/<i>.png` of 4 x 4: `counts` images per class, red = class, green = image. */
export async function writeClasses(folder: string, classes: readonly string[], count: number): Promise<void> {
  for (const [label, name] of classes.entries()) {
    for (let i = 0; i < count; i++) await writeImage(join(folder, name, `${i}.png`), [label, i, 200]);
  }
}
