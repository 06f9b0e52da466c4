import { expected } from "../errors.js";
import { native } from "../native.js";

/** What random numbers are drawn for: part of their key, so that purposes never share a sequence. */
const purposes = ["weight", "topology", "tie", "shuffle", "augment", "grow", "scale", "test", "candidate"] as const;
export type Purpose = (typeof purposes)[number];

/**
 * Key of a sequence of random numbers (Philox4x32-10). The number at an index is a function of key and index alone,
 * never of call order, so any thread count and any resumed run draws the same.
 */
export interface Key {
  readonly seed: number;
  readonly purpose: Purpose;
  /** Which tensor, worker …; 0 by default. */
  readonly stream?: number;
  /** Which step or epoch; 0 by default. */
  readonly step?: number;
}

export function keyWords({ seed, purpose, stream = 0, step = 0 }: Key): readonly [number, number, number, number] {
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff)
    throw expected("seed", "an integer from 0 to 4294967295", seed);
  return [seed, purposes.indexOf(purpose) + 1, stream, step];
}

/** The 32-bit words at indices 0 … count - 1, or at the given indices. */
export function randomBits(key: Key, at: number | Int32Array): Uint32Array {
  const words = new Uint32Array(typeof at === "number" ? at : at.length);
  native.randomBits(keyWords(key), typeof at === "number" ? null : at, words);
  return words;
}

/** Uniform in [low, high), 24 bits each. */
export function uniform(key: Key, at: number | Int32Array, low: number, high: number): Float32Array {
  const words = randomBits(key, at);
  const values = new Float32Array(words.length);
  for (let i = 0; i < words.length; i++) values[i] = low + (high - low) * ((words[i] >>> 8) / 0x1000000);
  return values;
}

/** An integer in [0, bound) from a 32-bit word, by multiplication (bias below bound / 2^32). */
function below(word: number, bound: number): number {
  return Math.floor((word / 0x100000000) * bound);
}

/** A random order of 0 … count - 1 (Fisher and Yates). */
export function permutation(key: Key, count: number): Int32Array {
  const words = randomBits(key, count);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = below(words[i], i + 1);
    const swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order;
}

/** `count` distinct integers of [0, population), ascending; every subset equally likely (Floyd's algorithm). */
export function sample(key: Key, population: number, count: number): Int32Array {
  if (count > population) throw expected("sample", `at most ${population} of ${population}`, count);
  const words = randomBits(key, count);
  const chosen = new Set<number>();
  for (let i = 0; i < count; i++) {
    const last = population - count + i;
    const candidate = below(words[i], last + 1);
    chosen.add(chosen.has(candidate) ? last : candidate);
  }
  return Int32Array.from(chosen).sort();
}
