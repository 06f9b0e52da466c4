import type { EastingError } from "../../errors.js";
import { Probabilities, RangeDecoder, RangeEncoder } from "./range-coder.js";

// The structure of a model file: whole numbers, each of a kind whose probabilities are learnt from those before. A natural
// v is the position e of the highest 1 of v + 1, as e ones and a zero with a probability for each place, then the e bits
// below it from the highest: three of them with a probability for e and what came before them, the others without.

/** What numbers may be: those of a kind are alike. */
export const kinds = [
  "header",
  "step",
  "text",
  "gap",
  "input",
  "plane",
  "row",
  "reading",
  "band",
  "layout",
  "weight",
  "multiplier",
  "shift",
  "bias",
  "step of a bias",
  "factor",
  "exponent",
  "offset",
  "zero",
] as const;
export type Kind = (typeof kinds)[number];

/** Places of the leading bit, and room for the three bits below it. */
const PLACES = 33;
const PREDICTED = 3;

/** Probabilities of the bits of naturals. */
export class NaturalModel {
  readonly length = new Probabilities(PLACES);
  readonly below = new Probabilities(PLACES << PREDICTED);
}

const models = () => Object.fromEntries(kinds.map((kind) => [kind, new NaturalModel()])) as Record<Kind, NaturalModel>;

/** Below 2³² − 1. */
export function encodeNatural(coder: RangeEncoder, { length, below }: NaturalModel, value: number): void {
  const e = 31 - Math.clz32(value + 1);
  for (let i = 0; i < e; i++) coder.bit(length, i, 1);
  coder.bit(length, e, 0);
  let context = 1;
  for (let i = e - 1; i >= 0; i--) {
    const bit = ((value + 1) >>> i) & 1;
    if (e - 1 - i >= PREDICTED) coder.even(bit);
    else {
      coder.bit(below, (e << PREDICTED) + context, bit);
      context = 2 * context + bit;
    }
  }
}

/** Naturals for integers: 0, −1, 1, −2, 2 … as 0, 1, 2, 3, 4 … */
export const zigzag = (value: number) => (value < 0 ? -2 * value - 1 : 2 * value);
const unzigzag = (value: number) => (value % 2 === 1 ? -(value + 1) / 2 : value / 2);
const differences = (values: ArrayLike<number>) =>
  Array.from(values, (value, i) => value - (i > 0 ? values[i - 1] : 0));

export class StructureWriter {
  readonly #coder = new RangeEncoder();
  readonly #models = models();
  readonly #channels = new Probabilities(4);

  finish(): Uint8Array {
    return this.#coder.finish();
  }
  /** Below 2³² − 1. */
  natural(kind: Kind, value: number): void {
    encodeNatural(this.#coder, this.#models[kind], value);
  }
  /** A bit with one of four probabilities of channels. */
  bit(expectation: number, value: number): void {
    this.#coder.bit(this.#channels, expectation, value);
  }
  integer(kind: Kind, value: number): void {
    this.natural(kind, zigzag(value));
  }
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.natural("header", bytes.length);
    for (const byte of bytes) this.natural("text", byte);
  }
  naturals(kind: Kind, values: readonly number[]): void {
    this.natural("header", values.length);
    for (const value of values) this.natural(kind, value);
  }
  /** A list that never descends, as differences. */
  ascending(kind: Kind, values: ArrayLike<number>): void {
    this.naturals(kind, differences(values));
  }
  /** Any integers, as differences. */
  integers(kind: Kind, values: ArrayLike<number>): void {
    this.naturals(kind, differences(values).map(zigzag));
  }
}

/** Reads what a `StructureWriter` wrote; `fail` makes the error for numbers that nobody wrote. */
export class StructureReader {
  readonly #coder: RangeDecoder;
  readonly #models = models();
  readonly #channels = new Probabilities(4);

  constructor(
    bytes: Uint8Array,
    private readonly fail: (wanted: string, got: unknown) => EastingError,
  ) {
    this.#coder = new RangeDecoder(bytes);
  }

  get left(): number {
    return this.#coder.unread;
  }
  natural(kind: Kind, what: string, maximum: number): number {
    const { length, below } = this.#models[kind];
    let e = 0;
    while (this.#coder.bit(length, e) === 1) if (++e > 31) throw this.fail(`${what} of at most ${maximum}`, "more");
    let value = 1;
    for (let i = 0; i < e; i++) {
      const bit = i < PREDICTED ? this.#coder.bit(below, (e << PREDICTED) + value) : this.#coder.even();
      value = 2 * value + bit;
    }
    return this.#within(what, value - 1, maximum);
  }
  bit(expectation: number): number {
    return this.#coder.bit(this.#channels, expectation);
  }
  positive(kind: Kind, what: string, maximum: number): number {
    const value = this.natural(kind, what, maximum);
    if (value === 0) throw this.fail(`${what} of at least 1`, 0);
    return value;
  }
  flag(what: string): boolean {
    return this.natural("header", what, 1) === 1;
  }
  /** From −`maximum` to `maximum`. */
  integer(kind: Kind, what: string, maximum: number): number {
    return unzigzag(this.natural(kind, what, 2 * maximum));
  }
  text(what: string, maximum: number): string {
    const length = this.natural("header", `length of ${what}`, maximum);
    const bytes = Uint8Array.from({ length }, () => this.natural("text", what, 255));
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      throw this.fail(`${what} in UTF-8`, "other bytes");
    }
  }

  /** A list of at most `most` values, each at most `maximum`: calls `open` with their count, then what it returned with each. */
  naturals(
    kind: Kind,
    what: string,
    most: number,
    maximum: number,
    open: (count: number) => (value: number) => void,
  ): void {
    const count = this.natural("header", `count of ${what}`, most);
    const visit = open(count);
    for (let i = 0; i < count; i++) visit(this.natural(kind, what, maximum));
  }

  /** A list of at most `most` different numbers up to `maximum`, ascending. */
  ascending(kind: Kind, what: string, most: number, maximum: number): number[] {
    const values: number[] = [];
    let last = -1;
    this.naturals(kind, what, most, maximum, () => (step) => {
      last = this.#within(what, last + step + (values.length > 0 ? 0 : 1), maximum);
      if (last === values.at(-1)) throw this.fail(`different ${what}`, `${last} twice`);
      values.push(last);
    });
    return values;
  }
  /** A list of `count` numbers from 0 to `maximum`, in any order. */
  integers(kind: Kind, what: string, count: number, maximum: number): number[] {
    const values: number[] = [];
    let last = 0;
    this.naturals(kind, what, count, 2 * maximum, () => (step) => {
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
