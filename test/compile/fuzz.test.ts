import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { compile, decodeModel, encodeModel, interpret } from "../../src/compile/index.js";
import { EastingError } from "../../src/errors.js";
import { Network } from "../../src/inference/index.js";
import { decodeSafetensors, encodeSafetensors } from "../../src/pytorch/index.js";
import { fuzz, type Reader } from "./fuzz.js";
import { classNames, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";

// EASTING_FUZZ_SECONDS=60 npx vitest run test/compile/fuzz.test.ts fuzzes each reader for a minute, with another seed by
// EASTING_FUZZ_SEED, and keeps one file for each kind of outcome in corpus/ instead of those that are there. With the addon
// built for a sanitizer (docs/model-file.md) it watches over the networks that come of files.
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

function safetensorsSeeds(): Uint8Array[] {
  const tensor = (dtype: string, shape: readonly number[], bytes: number) =>
    [
      `${dtype.toLowerCase()}.${shape}`,
      { dtype, shape, bytes: Uint8Array.from({ length: bytes }, (_, i) => i) },
    ] as const;
  const weights = [tensor("F32", [2, 1, 3, 3], 72), tensor("BOOL", [2, 1, 3, 3], 18)];
  const others = [tensor("BF16", [3], 6), tensor("I64", [], 8), tensor("F64", [0, 4], 0), tensor("U8", [5], 5)];
  const metadata = new Map([["format", "pt"]]);
  const files = [
    encodeSafetensors({ tensors: new Map(weights), metadata }),
    encodeSafetensors({ tensors: new Map(others), metadata: new Map([...metadata, ["classes", '["a \\" b", "c"]']]) }),
    encodeSafetensors({ tensors: new Map(), metadata: new Map() }),
  ];
  return files.map((file) => Uint8Array.from(file)); // a Buffer's slice would be no copy
}

/** Where the JSON object that begins at `from` is over; null if it is not. */
function objectEnd(file: Uint8Array, from: number): number | null {
  let depth = 0;
  let quoted = false;
  for (let at = from; at < file.length; at++) {
    const character = String.fromCharCode(file[at]);
    if (quoted && character === "\\") at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === "{") depth++;
    else if (!quoted && character === "}" && --depth <= 0) return at + 1;
  }
  return null;
}

/** The reader's own error as its message; anything else is thrown. */
async function refusal(code: string, act: () => unknown): Promise<string | null> {
  try {
    await act();
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
      refusal("EASTING_MODEL_FILE", async () => {
        // What is read can be written, and reads as the same again; the addon runs it and gives as many logits.
        const graph = decodeModel(file);
        const pixels = graph.image.shape.reduce((a, b) => a * b);
        const work = graph.steps.reduce((sum, { height, width, rows }) => sum + height * width * rows.length, pixels);
        const again = decodeModel(encodeModel(graph));
        if (work < 20_000) {
          const image = new Float32Array(pixels).fill(0.5);
          expect(interpret(again, image)).toEqual(interpret(graph, image));
          using network = new Network(graph);
          const results = await network.run([image, image, image, image]);
          expect(results.map(({ logits }) => logits.length)).toEqual(new Array(4).fill(graph.classes.length));
        }
      }),
  },
  {
    name: "safetensors file",
    seeds: safetensorsSeeds(),
    seal(file) {
      const copy = file.slice();
      let end = objectEnd(copy, 8);
      while (end !== null && copy[end] === 0x20) end++; // padding
      if (end !== null) new DataView(copy.buffer).setBigUint64(0, BigInt(end - 8), true);
      return copy;
    },
    read: (file) =>
      refusal("EASTING_SAFETENSORS", () => {
        const content = decodeSafetensors(file, "file");
        const again = decodeSafetensors(encodeSafetensors(content), "file");
        expect(again.metadata).toEqual(content.metadata);
        expect(again.tensors.size).toBe(content.tensors.size);
        for (const [name, { dtype, shape, bytes }] of content.tensors) {
          const tensor = again.tensors.get(name);
          expect(tensor).toMatchObject({ dtype, shape });
          expect(Buffer.compare(tensor?.bytes ?? Buffer.alloc(0), bytes)).toBe(0);
        }
      }),
  },
];

it("reading the corpus, hostile as it is, takes less than 4 times the largest file and 16 MB", () => {
  const program = `
    import { readdirSync, readFileSync } from "node:fs";
    import { openModel } from "./dist/compile/index.js";
    const files = readdirSync(process.argv[1]).map((name) => readFileSync(process.argv[1] + "/" + name));
    const read = (file) => {
      try {
        openModel(file);
      } catch (error) {
        if (error.code !== "EASTING_MODEL_FILE") throw error;
      }
    };
    read(files[0]); // the code of the reader itself
    const before = process.resourceUsage().maxRSS;
    for (const file of files) read(file);
    const taken = 1024 * (process.resourceUsage().maxRSS - before);
    console.log(JSON.stringify({ taken, largest: Math.max(...files.map(({ length }) => length)) }));
  `;
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const args = ["--input-type=module", "-e", program, join(corpus, "model-file")];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  expect(stderr).toBe("");
  const { taken, largest } = JSON.parse(stdout);
  expect(taken).toBeLessThan(4 * largest + 16e6);
});

describe.each(readers)("the reader of a $name", (reader) => {
  const folder = join(corpus, reader.name.replaceAll(" ", "-"));

  it("reads or refuses each file of the corpus in its own words", async () => {
    const files = existsSync(folder) ? readdirSync(folder) : [];
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) await reader.read(readFileSync(join(folder, file)));
  });

  it("reads or refuses any mutated file", { timeout: 1000 * seconds + 60_000 }, async () => {
    const end = Date.now() + 1000 * seconds;
    const { runs, read, kinds } = await fuzz(reader, seed, (runs) => (seconds > 0 ? Date.now() > end : runs === 3000));
    expect(read).toBeGreaterThan(0);
    expect(kinds.size).toBeGreaterThan(5);
    if (seconds === 0) return;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const [i, file] of [...kinds.values()].entries())
      writeFileSync(join(folder, String(i).padStart(3, "0")), file);
    console.log(`${reader.name}: ${runs} files in ${seconds} s, ${read} read, ${kinds.size} kinds of outcome`);
  });
});
