import type { Graph, Int8Graph } from "../../../src/compile/index.js";
import { interpret, interpretInt8, normalized, type Target, targets } from "../../../src/compile/index.js";
import { loadWasm } from "../../../src/compile/targets/wasm/loader.js";
import { Network } from "../../../src/inference/index.js";
import { available, interleaved, runHeader } from "./c-compiler.js";

type Logits = readonly ArrayLike<number>[];

/** One way to run a compiled network on images of bytes [c, h, w]. */
export interface Runtime {
  readonly name: string;
  /** False where this machine lacks what it needs. */
  readonly here: boolean;
  f32(graph: Graph, images: readonly Uint8Array[]): Promise<Logits>;
  int8(graph: Graph, int8: Int8Graph, images: readonly Uint8Array[]): Promise<Logits>;
}

const target = (name: string) => targets.find((each) => each.name === name) as Target;

/** The definition of both. */
export const interpreter: Runtime = {
  name: "the interpreter",
  here: true,
  f32: async (graph, images) => images.map((image) => interpret(graph, normalized(graph, image))),
  int8: async (_, int8, images) => images.map((image) => interpretInt8(int8, image)),
};

const c: Runtime = {
  name: "C",
  here: available("gcc"),
  f32: async (graph, images) => inC(graph, undefined, images),
  int8: async (graph, int8, images) => inC(graph, int8, images),
};

function inC(graph: Graph, int8: Int8Graph | undefined, images: readonly Uint8Array[]): Logits {
  const header = target("c").emit(graph, { values: "f32", int8 });
  const pixels = images.map((image) => interleaved(image, graph.image.shape[0]));
  const { logits, selfTest } = runHeader(header, Buffer.concat(pixels));
  if (selfTest !== 0) throw new Error(`the self-test failed on image ${selfTest - 1}`);
  const numbers = int8 ? new Int32Array(logits) : new Float32Array(logits);
  const classes = graph.classes.length;
  return images.map((_, i) => numbers.subarray(i * classes, (i + 1) * classes));
}

const wasm: Runtime = {
  name: "WebAssembly",
  here: true,
  f32: (graph, images) => inWasm(graph, undefined, images),
  int8: (graph, int8, images) => inWasm(graph, int8, images),
};

async function inWasm(graph: Graph, int8: Int8Graph | undefined, images: readonly Uint8Array[]): Promise<Logits> {
  const network = await loadWasm(target("wasm").emit(graph, { values: "f32", int8 }));
  return images.map((image) => network.run(interleaved(image, graph.image.shape[0])).logits);
}

const addon: Runtime = {
  name: "the addon",
  here: true,
  f32: (graph, images) => inAddon(graph, images),
  int8: async (_, int8, images) => {
    const sums = (logit: number) => Math.round(logit / int8.logitScale);
    const logits = await inAddon(int8, images);
    for (const logit of logits.flatMap((each) => [...each]))
      if (Math.fround(Math.fround(sums(logit)) * int8.logitScale) !== logit)
        throw new Error(`expected a logit that stands for a whole number, got ${logit}`);
    return logits.map((each) => Int32Array.from(each, sums));
  },
};

async function inAddon(graph: Graph | Int8Graph, images: readonly Uint8Array[]): Promise<Float32Array[]> {
  using network = new Network(graph);
  const found = await network.run(images, { layout: "chw" });
  return found.map(({ logits }) => Float32Array.from(logits));
}

/** All that must agree with the interpreter. */
export const runtimes: readonly Runtime[] = [c, wasm, addon];
