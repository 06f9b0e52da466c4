import { fileURLToPath } from "node:url";
import { type Graph, type ImageInput, type Int8Graph, openModel, peakMemory } from "../compile/index.js";
import { expected } from "../errors.js";
import { type ModelHandle, native } from "../native.js";
import { fileError, readWhole } from "../train/index.js";
import { type Classification, classify } from "./classify.js";
import { lower } from "./lower.js";
import { gatherPixels, type Images, type PixelLayout } from "./pixels.js";

export interface RunOptions {
  /** How many classes `top` holds; 5 by default. */
  readonly top?: number;
  /** Of flat arrays of bytes; "hwc" by default. */
  readonly layout?: PixelLayout;
}

interface Waiting {
  resolve(logits: ArrayBuffer): void;
  reject(error: Error): void;
}

/** A loaded network. Runs happen in the addon, in order and off this thread. */
export class Network implements Disposable {
  readonly image: ImageInput;
  readonly classes: readonly string[];
  /** What a logit of 1 stands for in a network in integers; null for one in f32. */
  readonly #logitScale: number | null;
  #handle: ModelHandle | null;
  /** Runs under way, in order. */
  readonly #waiting: Waiting[] = [];

  constructor(graph: Graph | Int8Graph) {
    const { shape, mean, std } = graph.image;
    const [channels, height, width] = shape;
    const int8 = "zeros" in graph;
    const format = {
      channels,
      height,
      width,
      mean: Float32Array.from(mean),
      std: Float32Array.from(std),
      zeros: Int32Array.from(int8 ? graph.zeros.subarray(0, channels) : []),
    };
    this.#handle = native.loadModel(
      format,
      tilesOf(graph).map((pixel) => lower(graph, pixel)),
      answering(this.#waiting),
    );
    this.#logitScale = int8 ? graph.logitScale : null;
    this.image = graph.image;
    this.classes = graph.classes;
  }

  /** Classifies images, in order. Rejects with EASTING_INVALID for images of another size and after `close`. */
  async run(images: Images, { top = 5, layout = "hwc" }: RunOptions = {}): Promise<Classification[]> {
    if (!Number.isInteger(top) || top < 1) throw expected("run", "a whole number from 1 on as top", top);
    if (layout !== "hwc" && layout !== "chw") throw expected("run", '"hwc" or "chw" as layout', layout);
    const { pixels, count } = gatherPixels(images, this.image);
    if (pixels instanceof Float32Array && this.#logitScale !== null)
      throw expected("run", "images as bytes, for a network in integers", "floats");
    const form = pixels instanceof Float32Array ? 2 : layout === "hwc" ? 0 : 1;
    const logits = this.#asFloats(await this.#compute(pixels, form, count));
    const size = this.classes.length;
    return Array.from({ length: count }, (_, i) =>
      classify(logits.subarray(i * size, (i + 1) * size), this.classes, Math.min(top, size)),
    );
  }

  /** Frees the network when the runs under way are done. */
  close(): void {
    if (this.#handle) native.closeModel(this.#handle);
    this.#handle = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #asFloats(logits: ArrayBuffer): Float32Array {
    const scale = this.#logitScale;
    return scale === null
      ? new Float32Array(logits)
      : Float32Array.from(new Int32Array(logits), (sum) => Math.fround(sum) * scale);
  }

  #compute(pixels: ArrayBufferView, form: number, count: number): Promise<ArrayBuffer> {
    const handle = this.#handle;
    if (!handle) throw expected("run", "an open network", "a closed one", "load it again");
    native.runModel(handle, pixels, form, count);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}

/** The addon holds it, so it holds neither the network, which may be dropped unclosed, nor its graph. */
function answering(waiting: Waiting[]): (error: string, logits: ArrayBuffer) => void {
  return (error, logits) => {
    const { resolve, reject } = waiting.shift() as Waiting;
    if (error) reject(expected("run", "the images to be computed", error, undefined, "EASTING_KERNEL"));
    else resolve(logits);
  };
}

/** Numbers in planes that a tile may take: with more of them, memory costs what loops over longer runs save. */
const tileNumbers = 1 << 20;

/** Images computed at once: one, and where there are many and planes are small, up to 8 of them. */
function tilesOf(graph: Graph | Int8Graph): number[] {
  const fits = [8, 4].find((pixel) => pixel * peakMemory(graph) <= tileNumbers);
  return fits ? [1, fits] : [1];
}

/** Loads a model file, from its path or its bytes; what is wrong with it is an error with the code EASTING_MODEL_FILE. */
export async function load(model: string | URL | Uint8Array): Promise<Network> {
  if (model instanceof Uint8Array) return new Network(openModel(model).graph);
  const path = model instanceof URL ? fileURLToPath(model) : model;
  const bytes = await readWhole(path).catch((error) => {
    throw fileError("EASTING_MODEL_FILE", "read model", path, error);
  });
  return new Network(openModel(bytes, path).graph);
}
