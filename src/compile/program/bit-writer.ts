// Codes of a program, whose reader is runtime/reader.h. Bits fill bytes from bit 0.

/** Values base + unit · v, each v in `width` bits. */
export interface FixedCode {
  readonly base: number;
  readonly unit: number;
  readonly width: number;
}

export class BitWriter {
  readonly #bytes: number[] = [];
  #filled = 0;

  /** Bits written so far. */
  get at(): number {
    return this.#filled;
  }
  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
  bits(value: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const place = this.#filled % 8;
      if (place === 0) this.#bytes.push(0);
      this.#bytes[this.#bytes.length - 1] |= (Math.floor(value / 2 ** i) % 2) << place;
      this.#filled++;
    }
  }
  flag(value: boolean): void {
    this.bits(value ? 1 : 0, 1);
  }
  /** Below 2³²: 6 bits that count the bits after them. */
  natural(value: number): void {
    const width = widthOf(value);
    this.bits(width, 6);
    this.bits(value, width);
  }
  integer(value: number): void {
    this.natural(value < 0 ? -2 * value - 1 : 2 * value);
  }
  /** Rice's code: ⌊v / 2ᵏ⌋ ones, a zero, the k low bits. */
  rice(value: number, k: number): void {
    for (let ones = Math.floor(value / 2 ** k); ones > 0; ones--) this.bits(1, 1);
    this.bits(0, 1);
    this.bits(value % 2 ** k, k);
  }
  /** Begins a list of values that follow one by one, each by `fixed`. */
  fixedCode(values: readonly number[]): FixedCode {
    const base = values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
    const unit = values.reduce((unit, value) => divisor(unit, value - base), 0) || 1;
    const width = widthOf(values.reduce((a, b) => Math.max(a, (b - base) / unit), 0));
    this.integer(base);
    this.natural(unit);
    this.bits(width, 6);
    return { base, unit, width };
  }
  fixed(value: number, { base, unit, width }: FixedCode): void {
    this.bits((value - base) / unit, width);
  }
}

/** How far each of an ascending list is beyond the one before it, the first beyond −1, less 1. */
export const gaps = (ascending: readonly number[]): number[] =>
  ascending.map((value, i) => value - (i > 0 ? ascending[i - 1] : -1) - 1);

/** The k for which Rice's code of the values is shortest. */
export function riceParameter(values: readonly number[]): number {
  const bits = (k: number) => values.reduce((sum, value) => sum + Math.floor(value / 2 ** k) + 1 + k, 0);
  let k = 0;
  while (k < 31 && bits(k + 1) < bits(k)) k++;
  return k;
}

const widthOf = (value: number) => (value === 0 ? 0 : Math.floor(Math.log2(value)) + 1);
const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
