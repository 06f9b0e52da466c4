import type { Extent } from "../graph.js";
import { limits } from "./format.js";
import type { ModelSource } from "./source.js";

/** The planes that are there, with their extents. */
export class PlaneList {
  readonly #extents: Extent[] = [];
  readonly #zeros: number[] = [];
  #pixels = 0;

  constructor(private readonly source: ModelSource) {}

  get count(): number {
    return this.#extents.length;
  }
  /** Zeros of the planes of a graph in integers. */
  get zeros(): Uint8Array {
    return Uint8Array.from(this.#zeros);
  }
  zero(plane: number): number {
    return this.#zeros[plane];
  }
  add(extent: Extent, zero = 0): number {
    this.#zeros.push(zero);
    if (this.count === this.source.planes) throw this.source.fail(`${this.source.planes} planes`, "more");
    this.#pixels += extent.height * extent.width;
    if (this.#pixels > limits.pixels)
      throw this.source.fail(`planes of at most ${limits.pixels} pixels in all`, "more");
    return this.#extents.push(extent) - 1;
  }
  /** Height and width of these planes, which must agree; `like` where there are none. */
  extent(planes: Iterable<number>, like: Extent): Extent {
    let found: Extent | null = null;
    for (const plane of planes) {
      const extent = this.#extents[plane];
      found ??= extent;
      if (extent.height !== found.height || extent.width !== found.width)
        throw this.source.fail(
          `planes of ${found.height} × ${found.width}`,
          `one of ${extent.height} × ${extent.width}`,
        );
    }
    return found ?? like;
  }
}
