import { zigzag } from "../model-file/structure.js";

// Codes of a program, whose reader is runtime/reader-bits.h. Bits fill bytes from bit 0.

/** Values base + unit · v, each v in `width` bits or, with `rice`, in Rice's code with `width` low bits. */
export interface Code {
  readonly base: number;
  readonly unit: number;
  readonly width: number;
  readonly rice: boolean;
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
  /** Below 2³²: 6 bits that count the bits after them. */
  natural(value: number): void {
    const width = widthOf(value);
    this.bits(width, 6);
    this.bits(value, width);
  }
  /** Rice's code: ⌊v / 2ᵏ⌋ ones, a zero, the k low bits. */
  rice(value: number, k: number): void {
    for (let ones = Math.floor(value / 2 ** k); ones > 0; ones--) this.bits(1, 1);
    this.bits(0, 1);
    this.bits(value % 2 ** k, k);
  }
  code({ base, unit, width, rice }: Code): void {
    this.natural(zigzag(base));
    this.natural(unit);
    this.bits(width, 5);
    this.bits(rice ? 1 : 0, 1);
  }
  coded(value: number, { base, unit, width, rice }: Code): void {
    const steps = (value - base) / unit;
    if (rice) this.rice(steps, width);
    else this.bits(steps, width);
  }
}

/** The shortest code of the values. */
export function codeOf(values: readonly number[]): Code {
  const base = values.reduce((a, b) => Math.min(a, b), values[0] ?? 0);
  const unit = values.reduce((unit, value) => divisor(unit, value - base), 0) || 1;
  const steps = values.map((value) => (value - base) / unit);
  const width = widthOf(steps.reduce((a, b) => Math.max(a, b), 0));
  const k = riceParameter(steps);
  const rice = riceBits(steps, k) < width * steps.length;
  return { base, unit, width: rice ? k : width, rice };
}

/** The k for which Rice's code of the values is shortest. */
export function riceParameter(values: readonly number[]): number {
  let k = 0;
  while (k < 31 && riceBits(values, k + 1) < riceBits(values, k)) k++;
  return k;
}

const riceBits = (values: readonly number[], k: number) =>
  values.reduce((sum, value) => sum + Math.floor(value / 2 ** k) + 1 + k, 0);
const widthOf = (value: number) => (value === 0 ? 0 : Math.floor(Math.log2(value)) + 1);
const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
