import type { EastingError } from "../../errors.js";

// Two codes carry everything but floats. A varint (LEB128): 7 bits a byte, lowest first, bit 7 set on all but the last.
// A list of naturals in Rice's code (1979): varint count, then, unless it is 0, a byte k and for each value v ⌊v / 2ᵏ⌋
// one-bits, a zero-bit and the k low bits of v, lowest first; bits fill bytes from bit 0, the last byte with zeros.

const MAXIMUM = 2 ** 32;

const zigzag = (value: number) => (value < 0 ? -2 * value - 1 : 2 * value);
const unzigzag = (value: number) => (value % 2 === 1 ? -(value + 1) / 2 : value / 2);
const differences = (values: ArrayLike<number>) =>
  Array.from(values, (value, i) => value - (i > 0 ? values[i - 1] : 0));

export class ByteWriter {
  readonly #bytes: number[] = [];

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
  byte(value: number): void {
    this.#bytes.push(value);
  }
  natural(value: number): void {
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      this.byte((rest % 128) + (rest >= 128 ? 128 : 0));
      if (rest < 128) return;
    }
  }
  integer(value: number): void {
    this.natural(zigzag(value));
  }
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.natural(bytes.length);
    for (const byte of bytes) this.byte(byte);
  }

  naturals(values: readonly number[]): void {
    this.natural(values.length);
    if (values.length === 0) return;
    const bits = (k: number) => values.reduce((sum, value) => sum + Math.floor(value / 2 ** k) + 1 + k, 0);
    let k = 0;
    while (k < 31 && bits(k + 1) < bits(k)) k++;
    this.byte(k);
    let [pending, filled] = [0, 0];
    const bit = (value: number) => {
      pending |= value << filled++;
      if (filled < 8) return;
      this.byte(pending);
      [pending, filled] = [0, 0];
    };
    for (const value of values) {
      for (let ones = Math.floor(value / 2 ** k); ones > 0; ones--) bit(1);
      bit(0);
      for (let i = 0; i < k; i++) bit(Math.floor(value / 2 ** i) % 2);
    }
    if (filled > 0) this.byte(pending);
  }
  /** A list that never descends, as differences. */
  ascending(values: ArrayLike<number>): void {
    this.naturals(differences(values));
  }
  /** Any integers, as differences. */
  integers(values: ArrayLike<number>): void {
    this.naturals(differences(values).map(zigzag));
  }
}

/** Reads what a `ByteWriter` wrote; `fail` makes the error for bytes that nobody wrote. */
export class ByteReader {
  #at = 0;

  constructor(
    readonly bytes: Uint8Array,
    private readonly fail: (wanted: string, got: unknown) => EastingError,
  ) {}

  get left(): number {
    return this.bytes.length - this.#at;
  }
  byte(): number {
    if (this.left === 0) throw this.fail("more bytes", "the end of its structure");
    return this.bytes[this.#at++];
  }
  natural(what: string, maximum: number): number {
    let value = 0;
    for (let place = 1; place < MAXIMUM; place *= 128) {
      const byte = this.byte();
      value += (byte % 128) * place;
      if (byte < 128) return this.#within(what, value, maximum);
    }
    throw this.fail(`${what} of at most ${maximum}`, "a larger number");
  }
  positive(what: string, maximum: number): number {
    const value = this.natural(what, maximum);
    if (value === 0) throw this.fail(`${what} of at least 1`, 0);
    return value;
  }
  flag(what: string): boolean {
    return this.natural(what, 1) === 1;
  }
  /** From −`maximum` to `maximum`. */
  integer(what: string, maximum: number): number {
    return unzigzag(this.natural(what, 2 * maximum));
  }
  text(what: string, maximum: number): string {
    const length = this.natural(`length of ${what}`, Math.min(maximum, this.left));
    this.#at += length;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes.subarray(this.#at - length, this.#at));
    } catch {
      throw this.fail(`${what} in UTF-8`, "other bytes");
    }
  }

  /** A list of at most `most` values, each at most `maximum`: calls `open` with their count, then what it returned with each. */
  naturals(what: string, most: number, maximum: number, open: (count: number) => (value: number) => void): void {
    const count = this.natural(`count of ${what}`, most);
    const visit = open(count);
    if (count === 0) return;
    const k = this.byte();
    if (k > 31) throw this.fail(`a Rice parameter of ${what} of at most 31`, k);
    if (count * (k + 1) > 8 * this.left) throw this.fail(`bits for ${count} ${what}`, `${8 * this.left} bits`);
    let [pending, filled] = [0, 0];
    const bit = () => {
      if (filled === 0) [pending, filled] = [this.byte(), 8];
      filled--;
      const value = pending & 1;
      pending >>= 1;
      return value;
    };
    for (let i = 0; i < count; i++) {
      let value = 0;
      while (bit() === 1) value += 2 ** k;
      for (let j = 0; j < k; j++) value += bit() * 2 ** j;
      visit(this.#within(what, value, maximum));
    }
    if (pending !== 0) throw this.fail(`zeros after ${what}`, "other bits");
  }

  /** A list of at most `most` different numbers up to `maximum`, ascending. */
  ascending(what: string, most: number, maximum: number): number[] {
    const values: number[] = [];
    let last = -1;
    this.naturals(what, most, maximum, () => (step) => {
      last = this.#within(what, last + step + (values.length > 0 ? 0 : 1), maximum);
      if (last === values.at(-1)) throw this.fail(`different ${what}`, `${last} twice`);
      values.push(last);
    });
    return values;
  }
  /** A list of `count` numbers from 0 to `maximum`, in any order. */
  integers(what: string, count: number, maximum: number): number[] {
    const values: number[] = [];
    let last = 0;
    this.naturals(what, count, 2 * maximum, () => (step) => {
      last = this.#within(what, last + unzigzag(step), maximum);
      values.push(last);
    });
    if (values.length !== count) throw this.fail(`${count} ${what}`, values.length);
    return values;
  }

  #within(what: string, value: number, maximum: number): number {
    if (value < 0 || value > maximum) throw this.fail(`${what} of at most ${maximum}`, value);
    return value;
  }
}
