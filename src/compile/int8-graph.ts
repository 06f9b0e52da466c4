import type { Bias } from "./bias.js";
import type { Entries, Extent, ImageInput, MaxPool } from "./graph.js";

// A graph in integers; docs/int8.md defines it operation by operation. Every pixel of a plane is a byte q from 0 to 255
// and stands for scale · (q − zero); scales are gone from here, they are in the weights, multipliers and shifts.

/** max(factor · (q − zero of the plane) + offset, floor), in units of the accumulator that it is added to. */
export interface Int8Reading {
  readonly plane: number;
  readonly factor: number;
  readonly offset: number;
  /** `NO_FLOOR` for none. */
  readonly floor: number;
}

export const NO_FLOOR = -(2 ** 31);

/** From accumulator to pixel: clamp(zero + ((sum · multiplier + half) >> shift), 0, 255), half being 2^(shift − 1), or 0 for shift 0. */
export interface Requantization {
  /** 1 … 255. */
  readonly multiplier: number;
  /** 0 … 30. */
  readonly shift: number;
}

/** Biases are multiples of the power of two next to this share of a step of the row's plane: the rest is noise, and bytes. */
const BIAS = 2;

/** The power of two that bias, offset and floor of a row are multiples of. */
export function biasGrain({ multiplier, shift }: Requantization): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(2 ** shift / (BIAS * multiplier))));
}

/** One output channel of a convolution: sum = bias + residual + Σ weights[k] · (q − zero), requantised. */
export interface Int8Row extends Requantization {
  readonly plane: number;
  readonly channel: number;
  readonly first: number;
  readonly end: number;
  /** Whole numbers. */
  readonly bias: Bias;
  readonly residual: Int8Reading | null;
}

export interface Int8Convolution extends Extent, Omit<Entries, "weights"> {
  readonly op: "convolution";
  readonly stride: number;
  /** −127 … 127. */
  readonly weights: Int8Array;
  /** As in `Convolution`: steps with the same have weights at places of one trained weight. */
  readonly tensor: number | null;
  readonly rows: readonly Int8Row[];
}

/** Sum of a reading over all pixels, requantised; the multiplier divides by their number. */
export interface Int8AveragePool {
  readonly op: "averagePool";
  readonly height: 1;
  readonly width: 1;
  readonly rows: readonly (Requantization & {
    readonly plane: number;
    readonly channel: number;
    readonly input: Int8Reading;
  })[];
}

/** A max-pool takes the largest byte; its planes have the zeros of what they read. */
export type Int8Step = Int8Convolution | MaxPool | Int8AveragePool;

export interface Int8Graph {
  readonly image: ImageInput;
  readonly classes: readonly string[];
  /** The last one is a convolution with one 1 × 1 row per class, whose sums, not requantised, are the logits. */
  readonly steps: readonly Int8Step[];
  /** By number of plane; outside a plane lies its zero. */
  readonly zeros: Uint8Array;
  /** What a logit of 1 stands for. */
  readonly logitScale: number;
}
