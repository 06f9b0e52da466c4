import type { Parameter } from "../nn/index.js";
import type { SectionData } from "../train/index.js";

/**
 * Which weights ever existed, for the in-time over-parameterization rate of Liu et al. (2021): |∪ₜ maskₜ| / N. One bit per
 * weight, and nothing before the first change of topology.
 */
export class Explored {
  readonly #bits = new Map<string, Uint8Array>();

  /** Adds the weights that exist now; call it before the first change and after each one. */
  add(layers: readonly Parameter[]): void {
    for (const { name, size, sparse } of layers) {
      const bits = this.#bits.get(name) ?? new Uint8Array(Math.ceil(size / 8));
      this.#bits.set(name, bits);
      if (!sparse) bits.fill(255);
      else for (const index of sparse.topology.indices) bits[index >>> 3] |= 1 << (index & 7);
    }
  }

  get started(): boolean {
    return this.#bits.size > 0;
  }

  /** Share of all weights of `layers` that exist or have existed. */
  rate(layers: readonly Parameter[]): number {
    const size = layers.reduce((total, layer) => total + layer.size, 0);
    const ever = layers.reduce((total, layer) => total + this.#count(layer), 0);
    return size === 0 ? 1 : ever / size;
  }

  #count({ name, size, nnz }: Parameter): number {
    const bits = this.#bits.get(name);
    if (!bits) return nnz;
    let count = 0;
    for (const byte of bits) count += ones[byte];
    return Math.min(count, size); // a dense tensor sets the padding of the last byte as well
  }

  state(): Map<string, SectionData> {
    return new Map([...this.#bits].map(([name, bits]) => [`explored/${name}`, bits]));
  }
  load(sections: ReadonlyMap<string, SectionData>): void {
    for (const [name, bits] of sections)
      if (name.startsWith("explored/")) this.#bits.set(name.slice("explored/".length), Uint8Array.from(bits));
  }
}

const ones = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);
