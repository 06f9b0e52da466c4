// The records of native/inference/program.h: words of 32 bits, floats among them as their bits.

export const op = { convolution: 0, split: 1, maxPool: 2, averagePool: 3 } as const;

/** Stands for no residual. */
export const nowhere = 0xffffffff;

/** A list of 32-bit words that grows. */
export class Words {
  #words = new Uint32Array(1024);
  #floats = new Float32Array(this.#words.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(...values: readonly number[]): void {
    for (const value of values) {
      this.#grow();
      this.#words[this.#length++] = value;
    }
  }

  pushFloat(value: number): void {
    this.#grow();
    this.#floats[this.#length++] = value;
  }

  done(): Uint32Array {
    return this.#words.slice(0, this.#length);
  }

  #grow(): void {
    if (this.#length < this.#words.length) return;
    const wider = new Uint32Array(2 * this.#length);
    wider.set(this.#words);
    this.#words = wider;
    this.#floats = new Float32Array(wider.buffer);
  }
}
