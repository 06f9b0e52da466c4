import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openDataset } from "../../src/data/open.js";
import { verifyDataset } from "../../src/data/verify.js";
import { temporaryFolder, tinyCifar10, writeClasses, writeFiles } from "./fixtures.js";

afterEach(() => vi.unstubAllEnvs());

describe("openDataset", () => {
  test("knows the digits and the synthetic images by name", async () => {
    expect((await openDataset("digits")).name).toBe("digits");
    expect((await openDataset("synthetic", { count: 20, shape: [1, 4, 4] })).train.count).toBe(18);
  });

  test("recognises what a folder holds", async () => {
    const binary = writeFiles(temporaryFolder(), tinyCifar10());
    expect((await openDataset(binary, { verify: false })).name).toBe("cifar10");
    const images = temporaryFolder();
    await writeClasses(images, ["cat", "dog"], 3);
    expect((await openDataset(images)).classes).toEqual(["cat", "dog"]);
  });

  test("looks for CIFAR below EASTING_DATA, as files, unpacked there, or as images", async () => {
    const root = temporaryFolder();
    vi.stubEnv("EASTING_DATA", root);
    await expect(openDataset("cifar10")).rejects.toThrow(`expected test_batch.bin in ${join(root, "cifar10")}`);
    writeFiles(join(root, "cifar-10-batches-bin"), tinyCifar10());
    expect((await openDataset("cifar10", { verify: false })).test.count).toBe(3);
    await expect(openDataset("cifar100")).rejects.toThrow(`cifar100: expected test.bin in ${join(root, "cifar100")}`);
    await writeClasses(join(root, "cifar100"), ["apple", "worm"], 3);
    expect((await openDataset("cifar100")).classes).toEqual(["apple", "worm"]);
  });

  test("suggests the name that was meant", async () => {
    await expect(openDataset("CIFAR-10")).rejects.toThrow(
      'data: expected "digits", "synthetic", "cifar10", "cifar100" or a folder, got "CIFAR-10"; did you mean "cifar10"?',
    );
    await expect(openDataset("/nowhere/at/all")).rejects.toThrow('got "/nowhere/at/all"; check the path');
  });

  test("refuses a folder or file that is no data set", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "empty"));
    await expect(openDataset(folder)).rejects.toThrow(`got ${folder}; check what the folder holds`);
    const file = join(folder, "data.tar");
    writeFileSync(file, "x");
    await expect(openDataset(file)).rejects.toThrow(`got ${file}; unpack it into a folder`);
  });
});

describe("verifyDataset", () => {
  test("counts the images of every class", async () => {
    const report = await verifyDataset("digits");
    expect(report.counts).toEqual({ train: 1293, validation: 144, test: 360 });
    expect(report.classCounts.test).toEqual([35, 36, 35, 37, 37, 37, 37, 36, 33, 37]);
  });

  test("reads the images themselves, not the cache", async () => {
    const folder = temporaryFolder();
    await writeClasses(folder, ["cat", "dog"], 10);
    const first = await openDataset(folder);
    let decoded = 0;
    const report = await verifyDataset(folder, { onProgress: () => decoded++ });
    expect(decoded).toBe(20);
    expect(report.hash).toBe(first.hash);
    expect(report.counts).toEqual({ train: 17, validation: 1, test: 2 });
  });
});
