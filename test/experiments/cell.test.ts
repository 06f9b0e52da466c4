import { describe, expect, it } from "vitest";
import { resolveConfig } from "../../src/east/index.js";
import { type CellData, cellId, cellOf, openData } from "../../src/experiments/index.js";

const config = resolveConfig({ model: "resnet20", sparsity: 95, epochs: 2 });
const data: CellData = { source: { from: "/here", validation: "split" }, hash: "abc", train: 900 };

describe("the id of a cell", () => {
  it("is the same wherever its images lie", () => {
    const moved = { ...data, source: { ...data.source, from: "/there" } };
    expect(cellId(config, moved)).toBe(cellId(config, data));
    expect(cellId(config, data)).toMatch(/^[0-9a-f]{16}$/);
  });

  it("changes with every setting, other pixels, another split and other augmentation", () => {
    const others = [
      cellId({ ...config, seed: 2 }, data),
      cellId({ ...config, epochs: 3 }, data),
      cellId({ ...config, ensureLive: true }, data),
      cellId(config, { ...data, hash: "abd" }),
      cellId(config, { ...data, train: 1000 }),
      cellId(config, { ...data, source: { ...data.source, flip: false } }),
    ];
    expect(new Set([...others, cellId(config, data)]).size).toBe(7);
  });

  it("is the same in a configuration from before a setting existed", () => {
    const { storage, ...before } = config;
    expect(storage).toBe("f32");
    expect(cellId(before as typeof config, data)).toBe(cellId(config, data));
  });

  it("does not depend on how the settings were written down", async () => {
    const digits = await openData({ from: "digits", validation: "split" });
    expect(digits.data.train).toBe(1293);
    const short = cellOf({ model: "resnet20", method: "rigl", sparsity: 95 }, digits);
    const long = cellOf({ sparsity: 95, method: "rigl", model: "resnet20", momentum: 0.9, clip: "off" }, digits);
    expect(long.id).toBe(short.id);
  });

  it("is one for a dense network, whatever its sparsity", async () => {
    const digits = await openData({ from: "digits", validation: "split" });
    const ids = [90, 99].map((sparsity) => cellOf({ model: "resnet20", method: "dense", sparsity }, digits).id);
    expect(ids[0]).toBe(ids[1]);
  });

  it("comes with a check of what only the whole configuration tells", async () => {
    const digits = await openData({ from: "digits", validation: "split" });
    expect(() => cellOf({ model: "resnet20", method: "dctps+rigl", shareRatio: 2 }, digits)).toThrow(
      "weight sharing: expected a method other than DCTpS, got dctps+rigl; use --share-ratio 0",
    );
  });
});
