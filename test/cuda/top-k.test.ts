import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { native } from "../../src/native.js";
import { type Device, keyWords, scope, Tensor } from "../../src/tensor/index.js";
import { hashAt, signed } from "../numbers.js";
import { randomIndices } from "../ops.cases.js";

interface Instance {
  readonly scores: Float64Array;
  readonly identity: Int32Array | null;
  readonly excluded: Int32Array;
  readonly k: number;
  readonly dtype: "f32" | "f64";
  readonly seed: number;
}

function topK({ scores, identity, excluded, k, dtype, seed }: Instance, device: Device): number[] {
  return scope(() => {
    const whole = (numbers: Int32Array) => Tensor.from(numbers, [numbers.length], { dtype: "i32", device });
    const [from, without] = [Tensor.from(scores, [scores.length], { dtype, device }), whole(excluded)];
    const places = identity && whole(identity);
    const to = Tensor.empty([k], { dtype: "i32", device });
    const words = keyWords({ seed, purpose: "tie" });
    from.kernels.top_k(from.buffer, places?.buffer ?? null, without.buffer, words, to.buffer);
    return [...to.dataSync()];
  });
}

const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e-45, 3e38];

/** Random scores; of every `levels` only so many magnitudes, 0 for all different ones, and some that are special. */
function scoresOf(seed: number, size: number, levels: number, specials: boolean): Float64Array {
  return signed(seed, size).map((v, i) => {
    const which = hashAt(seed + 1, i) % 40;
    if (specials && which < special.length) return special[which];
    return levels > 0 ? Math.round(v * levels) / levels : v;
  });
}

const twoDevices = native.devices().cudaDevices.length > 0;

describe.skipIf(!twoDevices)("top_k on both devices", () => {
  it("picks the same positions, whatever the ties, exclusions, identities and k", () => {
    const instances = fc
      .record({
        size: fc.integer({ min: 0, max: 7000 }),
        seed: fc.nat(1e6),
        levels: fc.constantFrom(0, 1, 4, 1000),
        specials: fc.boolean(),
        without: fc.constantFrom(0, 0.1, 0.9),
        permille: fc.integer({ min: 0, max: 1100 }),
        mapped: fc.constantFrom("own", "spread", "shared"),
        dtype: fc.constantFrom("f32" as const, "f64" as const),
      })
      .map(({ size, seed, levels, specials, without, permille, mapped, dtype }): Instance => {
        const excluded = randomIndices(seed + 2, size, without);
        // Scores that share a place in the tie order go by position.
        const place = (i: number) => (mapped === "shared" ? Math.floor(i / 3) : 5 * i + (hashAt(seed + 3, i) % 5));
        const identity = mapped === "own" ? null : Int32Array.from({ length: size }, (_, i) => place(i));
        const k = Math.floor((permille / 1000) * (size - excluded.length));
        return { scores: scoresOf(seed, size, levels, specials), identity, excluded, k, dtype, seed };
      });
    const property = fc.property(instances, (instance) => {
      expect(topK(instance, "cuda")).toEqual(topK(instance, "cpu"));
    });
    fc.assert(property, { numRuns: 60, seed: 1 });
  });

  it("picks the same positions among so many that a block of threads takes several stretches", () => {
    const size = 1_100_000;
    const scores = scoresOf(1, size, 4, false);
    const excluded = randomIndices(2, size, 0.01);
    const instance = { scores, identity: null, excluded, k: 5000, dtype: "f32", seed: 3 } as const;
    expect(topK(instance, "cuda")).toEqual(topK(instance, "cpu"));
  }, 300_000);
});
