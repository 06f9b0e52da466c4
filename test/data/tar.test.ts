import { expect, test } from "vitest";
import { readTar } from "../../src/data/tar.js";
import { tar } from "./fixtures.js";

const archive = tar({
  "a/one.bin": Buffer.from("first"),
  "two.txt": Buffer.alloc(2000, 7),
  "a/three.bin": Buffer.alloc(0),
});

async function* pieces(bytes: Buffer, length: number) {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function read(bytes: Buffer, length: number, limit?: number) {
  const found: [string, string][] = [];
  for await (const { name, body } of readTar(pieces(bytes, length), (name) => name.endsWith(".bin"), limit)) {
    found.push([name, body.toString()]);
  }
  return found;
}

test.each([1, 100, 512, 5000])("wanted files come whole from pieces of %i bytes", async (length) => {
  expect(await read(archive, length)).toEqual([
    ["a/one.bin", "first"],
    ["a/three.bin", ""],
  ]);
});

test("an archive that ends early, is altered or claims too much is refused", async () => {
  await expect(read(archive.subarray(0, 600), 100)).rejects.toThrow("got an end in the middle of a file");
  await expect(read(archive.subarray(0, 512), 100)).rejects.toThrow("got an end in the middle of a file");
  const altered = Buffer.from(archive);
  altered[3] ^= 1;
  await expect(read(altered, 100)).rejects.toThrow("tar: expected a whole archive, got a header with a wrong checksum");
  await expect(read(archive, 100, 4)).rejects.toThrow("got a file of 5 bytes where at most 4 are allowed");
});
