import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCifar, recogniseCifar } from "../../src/data/cifar.js";
import { cifarRecords, temporaryFolder, tinyCifar10, writeFiles } from "./fixtures.js";

const unchecked = { verify: false };

describe("CIFAR-10 in binary form", () => {
  test("keeps the training order and holds out its last tenth", async () => {
    const data = await openCifar("cifar10", writeFiles(temporaryFolder(), tinyCifar10()), unchecked);
    expect([data.train.count, data.validation.count, data.test.count]).toEqual([9, 1, 3]);
    const firstPixels = Array.from(data.train.labels, (_, i) => data.train.pixels?.[i * 3072]);
    expect(firstPixels).toEqual([10, 11, 20, 21, 30, 31, 40, 41, 50]);
    expect(data.validation.pixels?.[0]).toBe(51);
    expect([...data.test.labels]).toEqual([0, 1, 2]);
    expect(data.test.pixels?.length).toBe(3 * 3072);
  });

  test("trains on everything without validation, and the hash stays", async () => {
    const folder = writeFiles(temporaryFolder(), tinyCifar10());
    const split = await openCifar("cifar10", folder, unchecked);
    const whole = await openCifar("cifar10", folder, { ...unchecked, validation: "none" });
    expect([whole.train.count, whole.validation.count, whole.test.count]).toEqual([10, 0, 3]);
    expect(whole.hash).toBe(split.hash);
  });

  test("has the numbers of the published protocol", async () => {
    const data = await openCifar("cifar10", writeFiles(temporaryFolder(), tinyCifar10()), unchecked);
    expect(data.shape).toEqual([3, 32, 32]);
    expect(data.mean).toEqual([0.4914, 0.4822, 0.4465]);
    expect(data.std).toEqual([0.2023, 0.1994, 0.201]);
    expect(data.augmentation).toEqual({ pad: 4, mode: "reflect", flip: true });
    expect(data.classes[9]).toBe("truck");
  });

  test("is found in the archive's own folder", async () => {
    const folder = temporaryFolder();
    writeFiles(join(folder, "cifar-10-batches-bin"), tinyCifar10());
    expect(recogniseCifar(folder)).toBe("cifar10");
    expect((await openCifar("cifar10", folder, unchecked)).test.count).toBe(3);
  });

  test("reads chosen images in the order asked for", async () => {
    const data = await openCifar("cifar10", writeFiles(temporaryFolder(), tinyCifar10()), unchecked);
    const into = new Uint8Array(2 * 3072);
    await data.train.read(Int32Array.of(8, 0), into);
    expect([into[0], into[3072]]).toEqual([50, 10]);
    await expect(data.train.read(Int32Array.of(9, 0), into)).rejects.toThrow(
      "ImageSet.read: expected indices from 0 to 8, got 9",
    );
    await expect(data.train.read(Int32Array.of(0), into)).rejects.toThrow("expected a buffer of 3072 bytes, got 6144");
  });
});

test("CIFAR-100 takes the fine label, zero padding and its own statistics", async () => {
  const folder = writeFiles(temporaryFolder(), {
    "train.bin": cifarRecords(20, 0, 2, 100),
    "test.bin": cifarRecords(4, 50, 2, 100),
  });
  expect(recogniseCifar(folder)).toBe("cifar100");
  const data = await openCifar("cifar100", folder, unchecked);
  expect([data.train.count, data.validation.count, data.test.count]).toEqual([18, 2, 4]);
  expect([...data.train.labels.slice(15)]).toEqual([15, 16, 17]);
  expect(data.mean).toEqual([0.50708, 0.48655, 0.44092]);
  expect(data.augmentation.mode).toBe("zero");
  expect(data.classes.length).toBe(100);
  expect(data.classes[52]).toBe("oak_tree");
});

describe("damaged CIFAR files", () => {
  test("a missing file is named", async () => {
    const files = tinyCifar10();
    delete files["data_batch_3.bin"];
    const folder = writeFiles(temporaryFolder(), files);
    await expect(openCifar("cifar10", folder, unchecked)).rejects.toThrow(
      `cifar10: expected data_batch_3.bin in ${folder}, got no such file; download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz again`,
    );
  });

  test("an empty folder says what to download and where to put it", async () => {
    const folder = temporaryFolder();
    await expect(openCifar("cifar10", folder)).rejects.toThrow(
      `cifar10: expected test_batch.bin in ${folder}, got no such file; run "easting data download cifar10", or ` +
        "download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz by hand and put it there",
    );
  });

  test("a file that ends early is refused", async () => {
    const folder = writeFiles(temporaryFolder(), tinyCifar10());
    truncateSync(join(folder, "data_batch_2.bin"), 5000);
    await expect(openCifar("cifar10", folder, unchecked)).rejects.toThrow("data_batch_2.bin, got 5000 bytes; download");
    await expect(openCifar("cifar10", folder)).rejects.toThrow(
      `cifar10: expected 30730000 bytes in ${join(folder, "data_batch_1.bin")}, got 6146 bytes`,
    );
  });

  test("a label outside the classes is refused", async () => {
    const folder = writeFiles(temporaryFolder(), { ...tinyCifar10(), "test_batch.bin": cifarRecords(12, 0, 1, 12) });
    await expect(openCifar("cifar10", folder, unchecked)).rejects.toThrow("expected labels from 0 to 9");
  });

  test("a file of the right size with other bytes is refused", async () => {
    const folder = writeFiles(temporaryFolder(), tinyCifar10());
    writeFileSync(join(folder, "data_batch_1.bin"), "");
    truncateSync(join(folder, "data_batch_1.bin"), 30_730_000);
    await expect(openCifar("cifar10", folder)).rejects.toThrow(
      "expected SHA-256 cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5 in",
    );
  });
});
