import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { cifar10 } from "../../src/data/cifar-source.js";
import type { ImageSet } from "../../src/data/dataset.js";
import { openImageFolder } from "../../src/data/image-folder.js";
import { temporaryFolder, writeClasses, writeImage } from "./fixtures.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.doUnmock("sharp");
});

/** `[label, red, green, blue]` of the first pixel of every image of 4 x 4. */
async function firstPixels(set: ImageSet): Promise<number[][]> {
  const pixels = new Uint8Array(set.count * 48);
  await set.read(
    Int32Array.from({ length: set.count }, (_, i) => i),
    pixels,
  );
  return Array.from(set.labels, (label, i) => [label, pixels[i * 48], pixels[i * 48 + 16], pixels[i * 48 + 32]]);
}

async function splitFolder(): Promise<string> {
  const folder = temporaryFolder();
  await writeClasses(join(folder, "train"), ["cat", "dog"], 10);
  await writeClasses(join(folder, "test"), ["cat", "dog"], 2);
  return folder;
}

describe("train/<class> and test/<class>", () => {
  test("every image is in one part, its label and pixels its own, in planes", async () => {
    const data = await openImageFolder(await splitFolder());
    expect(data.classes).toEqual(["cat", "dog"]);
    expect(data.shape).toEqual([3, 4, 4]);
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([18, 2, 4]);
    const seen = [...(await firstPixels(data.train)), ...(await firstPixels(data.validation))];
    for (const [label, red, , blue] of seen) expect([red, blue]).toEqual([label, 200]);
    expect(new Set(seen.map(([label, , green]) => `${label}/${green}`)).size).toBe(20);
    expect(await firstPixels(data.test)).toEqual([
      [0, 0, 0, 200],
      [0, 0, 1, 200],
      [1, 1, 0, 200],
      [1, 1, 1, 200],
    ]);
    expect(data.note).toBeNull();
  });

  test("the held out images never change", async () => {
    const data = await openImageFolder(await splitFolder());
    expect((await firstPixels(data.validation)).map(([label, , green]) => [label, green])).toEqual([
      [1, 9],
      [1, 2],
    ]);
  });

  test("statistics are those of the training images, a constant channel stays finite", async () => {
    const data = await openImageFolder(await splitFolder());
    expect(data.mean[0]).toBeCloseTo(0.5 / 255, 12);
    expect(data.std[0]).toBeCloseTo(0.5 / 255, 12);
    expect(data.mean[2]).toBeCloseTo(200 / 255, 12);
    expect(data.std[2]).toBe(1);
    expect(data.augmentation).toEqual({ pad: 1, mode: "zero", flip: true });
  });

  test("val beside test is the validation set, val alone is the test set", async () => {
    const folder = await splitFolder();
    await writeClasses(join(folder, "val"), ["cat", "dog"], 3);
    let data = await openImageFolder(folder);
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([20, 6, 4]);
    rmSync(join(folder, "test"), { recursive: true });
    data = await openImageFolder(folder, { validation: "none" });
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([20, 0, 6]);
  });
});

test("a plain tree of classes gives a tenth to test and a tenth of the rest to validation", async () => {
  const folder = temporaryFolder();
  await writeClasses(folder, ["cat", "dog"], 10);
  const data = await openImageFolder(folder);
  expect([data.train.count, data.validation.count, data.test.count]).toEqual([17, 1, 2]);
});

test("a linked class folder is followed, other files are left alone", async () => {
  const folder = temporaryFolder();
  const elsewhere = temporaryFolder();
  await writeClasses(folder, ["cat"], 5);
  await writeClasses(elsewhere, ["dog"], 5);
  symlinkSync(join(elsewhere, "dog"), join(folder, "dog"));
  writeFileSync(join(folder, "cat", "notes.txt"), "not an image");
  expect((await openImageFolder(folder)).train.count).toBe(8);
});

describe("form of the images", () => {
  test("32 x 32 with the classes of CIFAR-10 takes its numbers; JPEG is noted", async () => {
    const folder = temporaryFolder();
    for (const name of cifar10.classes) {
      await writeImage(join(folder, "train", name, "0.jpg"), [1, 2, 3], 32);
      await writeImage(join(folder, "test", name, "0.jpg"), [1, 2, 3], 32);
    }
    const data = await openImageFolder(folder);
    expect(data.name).toBe("cifar10");
    expect(data.mean).toEqual([0.4914, 0.4822, 0.4465]);
    expect(data.augmentation).toEqual({ pad: 4, mode: "reflect", flip: true });
    expect(data.note).toBe("JPEG images");
    expect([...data.test.labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("images that differ become 224 x 224", async () => {
    const folder = temporaryFolder();
    await writeClasses(folder, ["cat"], 2);
    await writeImage(join(folder, "dog", "wide.png"), [9, 8, 7], 300, 30);
    const data = await openImageFolder(folder);
    expect(data.shape).toEqual([3, 224, 224]);
    expect(data.augmentation.pad).toBe(28);
  });

  test("a size may be asked for", async () => {
    const folder = await splitFolder();
    expect((await openImageFolder(folder, { size: 16 })).shape).toEqual([3, 16, 16]);
    await expect(openImageFolder(folder, { size: 0 })).rejects.toThrow("expected a whole number of at least 1, got 0");
  });

  test("only grey images make one channel", async () => {
    const folder = temporaryFolder();
    for (let i = 0; i < 3; i++) await writeImage(join(folder, "a", `${i}.png`), 50 + i, 6, 5);
    await writeImage(join(folder, "b", "0.png"), 90, 6, 5);
    const grey = await openImageFolder(folder, { flip: false });
    expect(grey.shape).toEqual([1, 5, 6]);
    expect(grey.augmentation.flip).toBe(false);
    await writeImage(join(folder, "b", "1.png"), [255, 0, 0], 6, 5);
    expect((await openImageFolder(folder)).shape).toEqual([3, 5, 6]);
  });
});

describe("cache of decoded images", () => {
  const decodes = async (folder: string, options = {}) => {
    let images = 0;
    const data = await openImageFolder(folder, { ...options, onProgress: () => images++ });
    await data.close();
    return { images, hash: data.hash };
  };

  test("spares the second opening the decode, until a file changes", async () => {
    const folder = await splitFolder();
    const first = await decodes(folder);
    const second = await decodes(folder);
    expect([first.images, second.images]).toEqual([24, 0]);
    expect(second.hash).toBe(first.hash);
    expect((await decodes(folder, { refresh: true })).images).toBe(24);
    utimesSync(join(folder, "train", "cat", "3.png"), 1, 1);
    expect((await decodes(folder)).images).toBe(24);
    expect(readdirSync(join(folder, ".easting-cache"))).toEqual(["own.pixels"]);
  });

  test("is made again when a byte flips or the end is missing", async () => {
    const folder = await splitFolder();
    const { hash } = await decodes(folder);
    const path = join(folder, ".easting-cache", "own.pixels");
    const bytes = readFileSync(path);
    for (const at of [0, 24 * 48, bytes.length - 60, bytes.length - 1]) {
      const flipped = Buffer.from(bytes);
      flipped[at] ^= 16;
      writeFileSync(path, flipped);
      expect(await decodes(folder)).toEqual({ images: 24, hash });
    }
    for (const length of [0, 10, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(await decodes(folder)).toEqual({ images: 24, hash });
    }
  });

  test("goes to the user's cache folder where the data folder takes no files", async () => {
    const folder = await splitFolder();
    writeFileSync(join(folder, ".easting-cache"), "in the way");
    const cache = temporaryFolder();
    vi.stubEnv("XDG_CACHE_HOME", cache);
    expect((await decodes(folder)).images).toBe(24);
    expect((await decodes(folder)).images).toBe(0);
    expect(readdirSync(join(cache, "easting", "images"))[0]).toMatch(/^[0-9a-f]{16}-own\.pixels$/);
  });

  test("goes where it is told to, or says that it cannot", async () => {
    const folder = await splitFolder();
    const cacheFolder = join(temporaryFolder(), "kept");
    expect((await decodes(folder, { cacheFolder })).images).toBe(24);
    expect((await decodes(folder, { cacheFolder })).images).toBe(0);
    expect(existsSync(join(folder, ".easting-cache"))).toBe(false);
    const file = join(folder, "train", "cat", "0.png");
    await expect(decodes(folder, { cacheFolder: join(file, "x") })).rejects.toThrow("pass cacheFolder");
  });

  test("serves large sets from the file, image by image", async () => {
    const folder = await splitFolder();
    const small = await openImageFolder(folder);
    const large = await openImageFolder(folder, { memoryLimit: 100 });
    expect(large.train.pixels).toBeNull();
    expect(large.hash).toBe(small.hash);
    for (const part of ["train", "validation", "test"] as const) {
      expect(await firstPixels(large[part])).toEqual(await firstPixels(small[part]));
    }
    const path = join(folder, ".easting-cache", "own.pixels");
    const bytes = readFileSync(path);
    bytes[5] ^= 1;
    writeFileSync(path, bytes);
    await expect(firstPixels(large.train)).rejects.toThrow(
      `image folder: expected decoded images in ${path} as they were written, got other bytes; remove that file`,
    );
    await large.close();
    await large.close();
  });

  test("leaves nothing behind when a decode is stopped", async () => {
    const folder = await splitFolder();
    const stop = new AbortController();
    const options = { signal: stop.signal, onProgress: () => stop.abort(new Error("stopped")) };
    await expect(openImageFolder(folder, options)).rejects.toThrow("stopped");
    expect(readdirSync(join(folder, ".easting-cache"))).toEqual([]);
  });
});

describe("damaged image folders", () => {
  test.each(["cut off", "not an image"])("a file that is %s is named", async (how) => {
    const folder = await splitFolder();
    const path = join(folder, "train", "dog", "4.png");
    writeFileSync(path, how === "cut off" ? readFileSync(path).subarray(0, 60) : "hello");
    await expect(openImageFolder(folder)).rejects.toThrow(`image folder: expected an image in ${path}, got `);
  });

  test("a class without images, an unknown class and a single class are named", async () => {
    const folder = await splitFolder();
    mkdirSync(join(folder, "train", "eel"));
    await expect(openImageFolder(folder)).rejects.toThrow(
      `image folder: expected images in ${join(folder, "train", "eel")}, got none; put .jpg, .png or .webp files there`,
    );
    rmSync(join(folder, "train", "eel"), { recursive: true });
    await writeClasses(join(folder, "test"), ["eel"], 1);
    await expect(openImageFolder(folder)).rejects.toThrow("only classes that the training images have, got eel");
    const single = temporaryFolder();
    await writeClasses(single, ["cat"], 1);
    await expect(openImageFolder(single)).rejects.toThrow(`two or more class folders in ${single}`);
  });

  test("without the package sharp the error says how to get it", async () => {
    const folder = await splitFolder();
    vi.resetModules();
    vi.doMock("sharp", () => {
      throw new Error("Cannot find package 'sharp'");
    });
    const { openImageFolder: open } = await import("../../src/data/image-folder.js");
    await expect(open(folder)).rejects.toThrow('run "npm install sharp"');
  });
});
