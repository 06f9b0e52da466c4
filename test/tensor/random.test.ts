import { describe, expect, it } from "vitest";
import { native, type RandomKey } from "../../src/native.js";
import { permutation, randomBits, sample, uniform } from "../../src/tensor/index.js";
import { hashAt } from "../numbers.js";

/** Philox4x32-10 from the paper's definition, in big integers. */
function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [a, b, c, d] = counter.map(BigInt);
  let [k0, k1] = key.map(BigInt);
  const low = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const first = a * 0xd2511f53n;
    const second = c * 0xcd9e8d57n;
    [a, b, c, d] = [(second >> 32n) ^ b ^ k0, second & low, (first >> 32n) ^ d ^ k1, first & low];
    k0 = (k0 + 0x9e3779b9n) & low;
    k1 = (k1 + 0xbb67ae85n) & low;
  }
  return [a, b, c, d].map(Number);
}

const key = { seed: 1, purpose: "test" } as const;

describe("Philox4x32-10", () => {
  const ones = 0xffffffff;
  // Known answers that the authors publish with the paper (Salmon et al., SC 2011).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [ones, ones, ones, ones],
      [ones, ones],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])("as written here gives the published answer for counter %j", (counter, by, answer) => {
    expect(philox(counter, by)).toEqual(answer);
  });

  it("in the addon gives the published answer for zeros", () => {
    const words = new Uint32Array(4);
    native.randomBits([0, 0, 0, 0], null, words);
    expect([...words]).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  });

  it("in the addon is the same function: key (seed, purpose), counter (group low, group high, stream, step)", () => {
    for (let i = 0; i < 200; i++) {
      const [seed, purpose, stream, step, index] = [0, 1, 2, 3, 4].map((j) => (i === 0 ? ones : hashAt(i, j)));
      const words = new Uint32Array(1);
      native.randomBits([seed, purpose, stream, step] as RandomKey, Uint32Array.of(index), words);
      const group = Math.floor(index / 4);
      expect(words[0]).toBe(philox([group, 0, stream, step], [seed, purpose])[index % 4]);
    }
  });
});

describe("randomBits", () => {
  it("at a position does not depend on which others are asked for", () => {
    const all = randomBits(key, 1001);
    const some = Int32Array.of(1000, 0, 17, 17, 3);
    expect([...randomBits(key, some)]).toEqual([...some].map((i) => all[i]));
    expect(randomBits(key, 10)).toEqual(all.slice(0, 10));
    expect(randomBits(key, 0).length).toBe(0);
  });

  it("differs by seed, purpose, stream and step", () => {
    const keys = [
      key,
      { ...key, seed: 2 },
      { ...key, purpose: "grow" as const },
      { ...key, stream: 1 },
      { ...key, step: 1 },
    ];
    expect(new Set(keys.map((k) => randomBits(k, 2).join())).size).toBe(5);
  });

  it("refuses seeds outside 32 bits", () => {
    for (const seed of [-1, 1.5, 2 ** 32, Number.NaN])
      expect(() => randomBits({ ...key, seed }, 1)).toThrow(
        `seed: expected an integer from 0 to 4294967295, got ${seed}`,
      );
    expect(() => randomBits({ ...key, seed: 2 ** 32 - 1 }, 1)).not.toThrow();
  });

  it("is evenly spread: the mean of 100,000 numbers is within 5 standard errors", () => {
    const values = uniform(key, 100_000, 0, 1);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan((5 * Math.sqrt(1 / 12)) / Math.sqrt(values.length));
  });
});

describe("uniform", () => {
  it("stays in its bounds", () => {
    const values = uniform(key, 10_000, -0.25, 0.75);
    expect(values.every((v) => v >= -0.25 && v < 0.75)).toBe(true);
    expect(Math.min(...values)).toBeLessThan(-0.24);
    expect(Math.max(...values)).toBeGreaterThan(0.74);
  });

  it("at positions equals the whole sequence there", () => {
    const all = uniform(key, 50, -1, 1);
    expect([...uniform(key, Int32Array.of(3, 49), -1, 1)]).toEqual([all[3], all[49]]);
  });
});

describe("permutation", () => {
  it.each([0, 1, 2, 7, 1000])("of %d holds every number once", (count) => {
    expect([...permutation(key, count)].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  it("is the same for the same key and another for another", () => {
    expect(permutation(key, 100)).toEqual(permutation(key, 100));
    expect(permutation({ ...key, step: 1 }, 100)).not.toEqual(permutation(key, 100));
  });

  it("draws all orders of three equally often", () => {
    const counts = new Map<string, number>();
    for (let step = 0; step < 6000; step++) {
      const order = permutation({ ...key, step }, 3).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // 1000 each, standard deviation 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("sample", () => {
  it.each([
    [10, 0],
    [10, 1],
    [10, 10],
    [100_000, 300],
    [1000, 990],
  ])("from %d draws %d distinct positions in ascending order", (population, count) => {
    const drawn = sample(key, population, count);
    expect(drawn.length).toBe(count);
    expect(drawn.every((v, i) => v >= 0 && v < population && (i === 0 || v > drawn[i - 1]))).toBe(true);
  });

  it("draws all pairs of five equally often", () => {
    const counts = new Map<string, number>();
    for (let step = 0; step < 5000; step++) {
      const pair = sample({ ...key, step }, 5, 2).join();
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    expect(counts.size).toBe(10);
    // 500 each, standard deviation 21.
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(110);
  });

  it("refuses to draw more than there is", () => {
    expect(() => sample(key, 3, 4)).toThrow("sample: expected at most 3 of 3, got 4");
  });
});
