import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Cell,
  cellOf,
  extendManifest,
  manifestPath,
  openData,
  readManifest,
} from "../../src/experiments/index.js";

let sweep: string;
beforeEach(() => {
  sweep = mkdtempSync(join(tmpdir(), "easting-sweep-"));
});
afterEach(() => rmSync(sweep, { recursive: true, force: true }));

async function cells(...seeds: number[]): Promise<Cell[]> {
  const digits = await openData({ from: "digits", validation: "split" });
  return seeds.map((seed) => cellOf({ model: "resnet20", method: "rigl", seed }, digits));
}

describe("a manifest", () => {
  it("has one line for each cell, and reads them back as they were", async () => {
    const planned = await cells(1, 2);
    expect(await extendManifest(sweep, [...planned, planned[0]])).toEqual({ cells: planned, added: 2 });
    expect(readFileSync(manifestPath(sweep), "utf8").match(/\n/g)).toHaveLength(2);
    expect(await readManifest(sweep)).toEqual(planned);
  });

  it("grows at its end, so that cells keep their numbers", async () => {
    const [one, two, three] = await cells(1, 2, 3);
    await extendManifest(sweep, [two]);
    expect(await extendManifest(sweep, [one, two, three])).toEqual({ cells: [two, one, three], added: 2 });
  });

  it("refuses lines that are no longer what was planned", async () => {
    await extendManifest(sweep, await cells(1, 2));
    const path = manifestPath(sweep);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace('"seed":2', '"seed":9'));
    const sentence = "line 2: expected a cell as easting sweep plan wrote it, got one that was altered or cut off";
    await expect(readManifest(sweep)).rejects.toThrow(sentence);
    writeFileSync(path, text.slice(0, -40));
    await expect(readManifest(sweep)).rejects.toThrow(sentence);
  });

  it("that is not there is a sentence", async () => {
    await expect(readManifest(sweep)).rejects.toThrow(
      `cannot read the cells of a sweep from ${manifestPath(sweep)}: no such file or folder (ENOENT); ` +
        "make them with easting sweep plan",
    );
  });
});
