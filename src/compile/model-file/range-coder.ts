// Binary arithmetic coding as in LZMA (Pavlov; after Martin 1979): a bit whose probability is learnt costs what it says.

const TOP = 2 ** 24;
const BITS = 15;
const HALF = 2 ** (BITS - 1);
/** Bits of one kind seen before they count 2^−5 each, the first ones more. */
const SLOWEST = 5;

/** Probabilities of a 0, in 2⁻¹⁵, each with the count of bits seen. */
export class Probabilities {
  readonly zero: Uint16Array;
  readonly seen: Uint8Array;

  constructor(count: number) {
    this.zero = new Uint16Array(count).fill(HALF);
    this.seen = new Uint8Array(count);
  }
  learn(at: number, bit: number): void {
    const shift = Math.min(++this.seen[at], SLOWEST);
    if (this.seen[at] > SLOWEST) this.seen[at] = SLOWEST;
    if (bit === 0) this.zero[at] += (2 ** BITS - this.zero[at]) >> shift;
    else this.zero[at] -= this.zero[at] >> shift;
  }
}

export class RangeEncoder {
  readonly #bytes: number[] = [];
  #low = 0;
  #range = 2 ** 32 - 1;
  #cache = 0;
  #pending = 0;
  #started = false;

  bit(probabilities: Probabilities, at: number, bit: number): void {
    const bound = (this.#range >>> BITS) * probabilities.zero[at];
    this.#narrow(bit === 0 ? 0 : bound, bit === 0 ? bound : this.#range - bound);
    probabilities.learn(at, bit);
  }
  /** A bit that is as often 0 as 1. */
  even(bit: number): void {
    const half = this.#range >>> 1;
    this.#narrow(bit === 0 ? 0 : half, bit === 0 ? half : this.#range - half);
  }
  /** Everything written, after which nothing more can be. */
  finish(): Uint8Array {
    for (let i = 0; i < 5; i++) this.#shift();
    let { length } = this.#bytes;
    while (length > 0 && this.#bytes[length - 1] === 0) length--; // a decoder reads zeros past the end
    return Uint8Array.from(this.#bytes.slice(0, length));
  }

  #narrow(skip: number, range: number): void {
    this.#low += skip;
    this.#range = range;
    while (this.#range < TOP) {
      this.#range = (this.#range * 256) >>> 0;
      this.#shift();
    }
  }
  /** Moves the top byte of `low` out; 255s wait until it is known whether a carry runs through them. */
  #shift(): void {
    if (this.#low < 0xff000000 || this.#low >= 2 ** 32) {
      const carry = this.#low >= 2 ** 32 ? 1 : 0;
      if (this.#started) this.#bytes.push((this.#cache + carry) & 255);
      for (; this.#pending > 0; this.#pending--) this.#bytes.push((255 + carry) & 255);
      this.#started = true;
      this.#cache = Math.floor(this.#low / TOP) & 255;
    } else this.#pending++;
    this.#low = (this.#low % TOP) * 256;
  }
}

export class RangeDecoder {
  #at = 0;
  #range = 2 ** 32 - 1;
  #code = 0;

  constructor(private readonly bytes: Uint8Array) {
    for (let i = 0; i < 4; i++) this.#code = this.#code * 256 + this.#next();
  }
  /** Bytes that no bit can depend on any more, were it to end here. */
  get unread(): number {
    return Math.max(0, this.bytes.length - this.#at);
  }
  bit(probabilities: Probabilities, at: number): number {
    const bit = this.#split((this.#range >>> BITS) * probabilities.zero[at]);
    probabilities.learn(at, bit);
    return bit;
  }
  even(): number {
    return this.#split(this.#range >>> 1);
  }

  #split(bound: number): number {
    const bit = this.#code < bound ? 0 : 1;
    if (bit === 1) this.#code -= bound;
    this.#range = bit === 1 ? this.#range - bound : bound;
    while (this.#range < TOP) {
      this.#range = (this.#range * 256) >>> 0;
      this.#code = this.#code * 256 + this.#next();
    }
    return bit;
  }
  #next(): number {
    return this.#at < this.bytes.length ? this.bytes[this.#at++] : 0;
  }
}
