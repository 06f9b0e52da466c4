import { type Graph, type ImageInput, openModel } from "../compile/index.js";
import { expected } from "../errors.js";
import { type ModelHandle, native } from "../native.js";
import { readWhole } from "../train/index.js";
import { type Classification, classify } from "./classify.js";
import { lower } from "./lower.js";
import { gatherPixels, type Images, type PixelLayout } from "./pixels.js";

export interface RunOptions {
  /** How many classes `top` holds; 5 by default. */
  readonly top?: number;
  /** Of flat arrays of bytes; "hwc" by default. */
  readonly layout?: PixelLayout;
}

/** A loaded network. Runs happen in the addon, in order and off this thread. */
export class Network implements Disposable {
  readonly image: ImageInput;
  readonly classes: readonly string[];
  #handle: ModelHandle | null;

  constructor(graph: Graph) {
    const { shape, mean, std } = graph.image;
    const [channels, height, width] = shape;
    const format = { channels, height, width, mean: Float32Array.from(mean), std: Float32Array.from(std) };
    this.#handle = native.loadModel(
      format,
      tileSizes.map((pixel) => lower(graph, pixel)),
    );
    this.image = graph.image;
    this.classes = graph.classes;
  }

  /** Classifies images, in order. Rejects with EASTING_INVALID for images of another size and after `close`. */
  async run(images: Images, { top = 5, layout = "hwc" }: RunOptions = {}): Promise<Classification[]> {
    if (!Number.isInteger(top) || top < 1) throw expected("run", "a whole number from 1 on as top", top);
    if (layout !== "hwc" && layout !== "chw") throw expected("run", '"hwc" or "chw" as layout', layout);
    const { pixels, count } = gatherPixels(images, this.image);
    const logits = await this.#compute(pixels, pixels instanceof Float32Array ? 2 : layout === "hwc" ? 0 : 1, count);
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

  #compute(pixels: ArrayBufferView, form: number, count: number): Promise<Float32Array> {
    const handle = this.#handle;
    if (!handle) throw expected("run", "an open network", "a closed one", "load it again");
    return new Promise((resolve, reject) => {
      native.runModel(handle, pixels, form, count, (error, logits) =>
        error ? reject(expected("run", "the images to be computed", error, undefined, "EASTING_KERNEL")) : resolve(logits),
      );
    });
  }
}

/** Images that are computed at once: one, or where there are many a whole vector of them. */
const tileSizes = [1, ...(process.env.TILE ?? "").split(",").filter(Boolean).map(Number)];

/** Loads a model file, from its path or its bytes. Errors are those of `decodeModel`. */
export async function load(model: string | URL | Uint8Array): Promise<Network> {
  if (model instanceof Uint8Array) return new Network(openModel(model).graph);
  const path = String(model);
  return new Network(openModel(await readWhole(path), path).graph);
}
