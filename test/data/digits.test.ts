import { expect, test } from "vitest";
import { digitsAttribution, digitsDataset } from "../../src/data/digits.js";

test("the digits are 1,293 + 144 + 360 images of 8 x 8 with levels from 0 to 255", () => {
  const data = digitsDataset();
  expect([data.train.count, data.validation.count, data.test.count]).toEqual([1293, 144, 360]);
  expect(data.shape).toEqual([1, 8, 8]);
  expect([...data.train.labels.slice(0, 10)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(data.augmentation).toEqual({ pad: 1, mode: "zero", flip: false });
  // second row of the first image: 0 0 13 15 10 15 5 0 of 16
  expect([...(data.train.pixels ?? []).slice(8, 16)]).toEqual([0, 0, 207, 239, 159, 239, 80, 0]);
  expect(data.hash).toBe("ed5d0ee6d5a61b611d6cad96c6bd69386d32550c51b259a59996b65ad132fa6c");
});

test("without validation 1,437 images train", () => {
  const data = digitsDataset({ validation: "none" });
  expect([data.train.count, data.validation.count, data.test.count]).toEqual([1437, 0, 360]);
  expect(() => digitsDataset({ validation: "half" as "none" })).toThrow('expected "split" or "none", got "half"');
});

test("the authors are credited", () => {
  expect(digitsAttribution).toContain("E. Alpaydin and C. Kaynak");
  expect(digitsAttribution).toContain("CC BY 4.0");
});
