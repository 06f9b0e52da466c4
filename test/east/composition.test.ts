import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { methodNames, prepare, type TrainConfigInput, train } from "../../src/east/index.js";
import type { EastingError } from "../../src/errors.js";
import { collect, fewDigits, only } from "../train/tiny.js";

const page = readFileSync(new URL("../../docs/methods.md", import.meta.url), "utf8");
const images = { classes: Array.from("0123456789"), shape: [1, 8, 8], mean: [0], std: [1] } as const;

/** The pieces of the table in docs/methods.md, in the order of its columns. */
const pieces: readonly (readonly [string, TrainConfigInput])[] = [
  ["--dyrelu", { dyrelu: true }],
  ["--share-ratio 2", { shareRatio: 2 }],
  ["--cycles 2", { cycles: 2 }],
  ["--growth gse", { growth: "gse" }],
  ["--ensure-live", { ensureLive: true }],
  ["--distribution er", { distribution: "er" }],
];
const table = new Map(
  [...page.matchAll(/^\| `([\w+-]+)` \|((?: (?:yes|no) \|){6})$/gm)].map(([, name, cells]) => [
    name,
    cells.split("|").flatMap((cell) => cell.trim() || []),
  ]),
);

/** "yes", or the code of the refusal. */
function answer(config: TrainConfigInput): string {
  try {
    const { model, fit } = prepare({ model: "resnet20", sparsity: 90, epochs: 4, ...config }, images, 96);
    model.dispose();
    fit.optimizer.dispose();
    return "yes";
  } catch (error) {
    return (error as EastingError).code === "EASTING_CONFIG" ? "no" : String(error);
  }
}

describe("the table of what composes", () => {
  it("has every method and every piece", () => {
    expect([...table.keys()].toSorted()).toEqual(methodNames.toSorted());
    const heading = /^\| method \|(.*)\|$/m.exec(page)?.[1].split("|") ?? [];
    expect(heading.map((cell) => cell.replaceAll("`", "").trim())).toEqual(pieces.map(([flag]) => flag));
  });

  it.each([...table])("is right about %s", (method, cells) => {
    expect(pieces.map(([, piece]) => answer({ method, ...piece }))).toEqual(cells);
  });

  it.each([...table])("%s trains with all that it takes at once, and ends at its density", async (method, cells) => {
    const taken = pieces.filter((_, i) => cells[i] === "yes").map(([, piece]) => piece);
    const config = Object.assign({ method, model: "resnet20", sparsity: 90, epochs: 4, batch: 16 }, ...taken);
    const events = await collect(train({ ...config, updateEvery: 3, cycleUpdateEvery: 2 }, fewDigits(80)));
    const [end] = only(events, "end") as unknown as { nnz: number; density: number }[];
    // ResNet-20 for one channel of input has 270,608 prunable weights, 173,840 of them its own where blocks share.
    expect(end.nnz).toBe(method === "dense" ? 173_840 : 27_060);
  });
});
