import { expected } from "../errors.js";
import type { Layout } from "./layout.js";

/** Floats in a vector; planes begin at multiples of it. */
export const lanes = 16;

const ceil = (value: number) => Math.ceil(value / lanes) * lanes;

/**
 * Places for planes, in floats; `pixel` of them make a pixel. A place that was given back goes to the next plane of the
 * same layout, so that borders stay zero and memory that was just used is used again.
 */
export class Arena {
  readonly #free = new Map<Layout, number[]>();
  #size = 0;

  constructor(readonly pixel: number) {}

  get size(): number {
    if (this.#size >= 2 ** 32)
      throw expected("load", "a network whose planes take less than 16 GiB", `${Math.ceil(this.#size / 2 ** 28)} GiB`);
    return this.#size;
  }

  /** Vectors from the first pixel of a plane to its last. */
  vectors({ height, pitch }: Layout): number {
    return ceil(height * pitch * this.pixel) / lanes;
  }

  /** Where a plane's first pixel is. Behind its last there is room for a vector. */
  take(layout: Layout): number {
    const free = this.#free.get(layout)?.pop();
    if (free !== undefined) return free;
    const { pitch, top, left, right, bottom } = layout;
    const at = this.#size + ceil((top * pitch + left) * this.pixel);
    this.#size = at + lanes * (this.vectors(layout) + 1) + ceil((bottom * pitch + right) * this.pixel);
    return at;
  }

  giveBack(layout: Layout, at: number): void {
    const free = this.#free.get(layout);
    if (free) free.push(at);
    else this.#free.set(layout, [at]);
  }
}
