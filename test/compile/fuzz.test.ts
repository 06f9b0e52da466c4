import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { compile, decodeModel, encodeModel, interpret } from "../../src/compile/index.js";
import { EastingError } from "../../src/errors.js";
import { fuzz, type Reader } from "./fuzz.js";
import { classNames, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";

// EASTING_FUZZ_SECONDS=60 npx vitest run test/compile/fuzz.test.ts fuzzes each reader for a minute, with another seed by
// EASTING_FUZZ_SEED, and keeps one file for each kind of outcome in corpus/ instead of those that are there.
const seconds = Number(process.env.EASTING_FUZZ_SECONDS ?? 0);
const seed = Number(process.env.EASTING_FUZZ_SEED ?? 1);
const corpus = fileURLToPath(new URL("corpus", import.meta.url));

const small: NetworkSpec = { model: "resnet20", mask: "live", count: 90, side: 8, seed: 1 };

function graphOf(spec: NetworkSpec) {
  const model = randomNetwork(spec);
  const { graph } = compile(model, imageInput(spec.side), classNames(10));
  model.dispose();
  return graph;
}

function modelSeeds(): Uint8Array[] {
  const shared = graphOf({ ...small, model: "resnet34", count: 150, share: true });
  const bands = graphOf({ ...small, mask: "random", count: 400 });
  const pooled = graphOf({ ...small, model: "resnet18-imagenet", side: 32, count: 150 });
  const graphs = [graphOf(small), shared, bands, pooled];
  return [...graphs.map((graph) => encodeModel(graph)), encodeModel(graphs[0], { values: "f16" })];
}

/** The reader's own error as its message; anything else is thrown. */
function refusal(code: string, act: () => void): string | null {
  try {
    act();
    return null;
  } catch (error) {
    if (error instanceof EastingError && error.code === code) return error.message;
    throw error;
  }
}

const readers: readonly Reader[] = [
  {
    name: "model file",
    seeds: modelSeeds(),
    seal(file) {
      const copy = file.slice();
      if (copy.length < 20) return copy;
      const view = new DataView(copy.buffer);
      view.setUint32(12, copy.length, true);
      view.setUint32(copy.length - 4, crc32(copy.subarray(0, -4)), true);
      return copy;
    },
    read: (file) =>
      refusal("EASTING_MODEL_FILE", () => {
        // What is read can be written, and reads as the same again.
        const graph = decodeModel(file);
        const pixels = graph.image.shape.reduce((a, b) => a * b);
        const work = graph.steps.reduce((sum, { height, width, rows }) => sum + height * width * rows.length, pixels);
        const again = decodeModel(encodeModel(graph));
        if (work < 20_000) {
          const image = new Float32Array(pixels).fill(0.5);
          expect(interpret(again, image)).toEqual(interpret(graph, image));
        }
      }),
  },
];

describe.each(readers)("the reader of a $name", (reader) => {
  const folder = join(corpus, reader.name.replaceAll(" ", "-"));

  it("reads or refuses each file of the corpus in its own words", () => {
    const files = existsSync(folder) ? readdirSync(folder) : [];
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) reader.read(readFileSync(join(folder, file)));
  });

  it("reads or refuses any mutated file", { timeout: 1000 * seconds + 60_000 }, () => {
    const end = Date.now() + 1000 * seconds;
    const { runs, read, kinds } = fuzz(reader, seed, (runs) => (seconds > 0 ? Date.now() > end : runs === 3000));
    expect(read).toBeGreaterThan(0);
    expect(kinds.size).toBeGreaterThan(20);
    if (seconds === 0) return;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const [i, file] of [...kinds.values()].entries())
      writeFileSync(join(folder, String(i).padStart(3, "0")), file);
    console.log(`${reader.name}: ${runs} files in ${seconds} s, ${read} read, ${kinds.size} kinds of outcome`);
  });
});
