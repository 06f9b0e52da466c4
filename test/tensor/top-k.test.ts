import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Key, keyWords, randomBits, scope, Tensor } from "../../src/tensor/index.js";
import { hashAt, rounded, signed } from "../numbers.js";
import { randomIndices } from "../ops.cases.js";

const key: Key = { seed: 3, purpose: "tie" };

function topK(
  scores: ArrayLike<number>,
  excluded: Int32Array | null,
  k: number,
  by = key,
  dtype: "f32" | "f64" = "f32",
) {
  return scope(() => {
    const [from, to] = [Tensor.from(scores, [scores.length], { dtype }), Tensor.zeros([k], { dtype: "i32" })];
    const without = excluded && Tensor.from(excluded, [excluded.length], { dtype: "i32" });
    from.kernels.top_k(from.buffer, null, without?.buffer ?? null, keyWords(by), to.buffer);
    return [...to.dataSync()];
  });
}

/** A full sort: by |score| downwards, ties by the key's random words, then by position. */
function sorted(scores: ArrayLike<number>, excluded: Int32Array | null, k: number, by = key): number[] {
  const out = new Set(excluded);
  const words = randomBits(by, scores.length);
  return Array.from(scores, (_, i) => i)
    .filter((i) => !out.has(i))
    .sort((a, b) => Math.abs(scores[b]) - Math.abs(scores[a]) || words[a] - words[b] || a - b)
    .slice(0, k)
    .sort((a, b) => a - b);
}

/** Scores with many ties: multiples of 1/4 of both signs. */
const quarters = (t: number, size: number) => signed(t, size).map((v) => Math.round(v * 4) / 4);

describe("top_k", () => {
  it("finds what a full sort finds, with ties, exclusions and any k", () => {
    const property = fc.property(
      fc.integer({ min: 0, max: 700 }),
      fc.nat(1e6),
      fc.boolean(),
      fc.constantFrom(0, 0.1, 0.9),
      fc.integer({ min: 0, max: 1000 }),
      (size, seed, ties, without, permille) => {
        const scores = ties ? quarters(seed, size) : rounded(signed(seed, size));
        const excluded = randomIndices(seed + 1, size, without);
        const k = Math.floor((permille / 1000) * (size - excluded.length));
        expect(topK(scores, excluded, k)).toEqual(sorted(scores, excluded, k));
      },
    );
    fc.assert(property, { numRuns: 150, seed: 1 });
  });

  it("finds them among 300,000 scores", () => {
    const [plain, tied] = [rounded(signed(1, 300_000)), quarters(2, 300_000)];
    const excluded = randomIndices(3, 300_000, 0.01);
    for (const k of [1, 300, 100_000]) {
      expect(topK(plain, excluded, k)).toEqual(sorted(plain, excluded, k));
      expect(topK(tied, excluded, k)).toEqual(sorted(tied, excluded, k));
    }
  });

  it("of nothing, and of everything", () => {
    const scores = quarters(4, 50);
    expect(topK(scores, null, 0)).toEqual([]);
    expect(topK(scores, null, 50)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    const excluded = Int32Array.from({ length: 25 }, (_, i) => 2 * i);
    expect(topK(scores, excluded, 25)).toEqual(Array.from({ length: 25 }, (_, i) => 2 * i + 1));
    expect(
      topK(
        scores,
        Int32Array.from({ length: 50 }, (_, i) => i),
        0,
      ),
    ).toEqual([]);
  });

  it("marks places that nothing is left for with -1", () => {
    expect(topK(Float32Array.of(3, 1, 2), Int32Array.of(0), 4)).toEqual([1, 2, -1, -1]);
    expect(topK(new Float32Array(0), null, 2)).toEqual([-1, -1]);
  });

  it.each([0, 0.5, -0.5])("spreads over all places when every score is %d", (score) => {
    const scores = new Float32Array(4000).fill(score);
    const found = topK(scores, null, 400);
    expect(found).toEqual(sorted(scores, null, 400));
    expect(new Set(found).size).toBe(400);
    // 200 expected in each half, standard deviation 10.
    expect(Math.abs(found.filter((i) => i < 2000).length - 200)).toBeLessThan(50);
    expect(topK(scores, null, 400, { ...key, step: 1 })).not.toEqual(found);
  });

  it("counts -0 as 0, and puts the tiniest numbers above it", () => {
    const scores = Float32Array.of(0, -0, 1e-45, -1e-40, 0);
    expect(topK(scores, null, 2)).toEqual([2, 3]);
    expect(topK(scores, null, 3)).toEqual(sorted(scores, null, 3));
  });

  it("puts infinity first", () => {
    expect(topK(Float32Array.of(1, Number.POSITIVE_INFINITY, 3e38, Number.NEGATIVE_INFINITY), null, 2)).toEqual([1, 3]);
  });

  it("works in f64", () => {
    const scores = Float64Array.from({ length: 300 }, (_, i) => 1 + (hashAt(5, i) % 7) * 2 ** -50);
    expect(topK(scores, null, 40, key, "f64")).toEqual(sorted(scores, null, 40));
  });
});

describe("gather and scatter", () => {
  it("gather reads positions and gives 0 for -1", () => {
    scope(() => {
      const x = Tensor.from([10, 20, 30], [3]);
      const positions = Tensor.from([2, -1, 0, 2], [4], { dtype: "i32" });
      const y = Tensor.full([4], 99);
      x.kernels.gather(x.buffer, positions.buffer, y.buffer);
      expect([...y.dataSync()]).toEqual([30, 0, 10, 30]);
    });
  });

  it("scatter writes positions and leaves the rest", () => {
    scope(() => {
      const x = Tensor.from([10, 20], [2]);
      const positions = Tensor.from([3, 0], [2], { dtype: "i32" });
      const y = Tensor.full([5], 7);
      x.kernels.scatter(x.buffer, positions.buffer, y.buffer);
      expect([...y.dataSync()]).toEqual([20, 7, 7, 10, 7]);
    });
  });

  it("undo each other on many positions", () => {
    scope(() => {
      const positions = randomIndices(6, 200_000, 0.3);
      const at = Tensor.from(positions, [positions.length], { dtype: "i32" });
      const x = Tensor.from(signed(7, positions.length), [positions.length]);
      const [dense, back] = [Tensor.zeros([200_000]), Tensor.zeros([positions.length])];
      x.kernels.scatter(x.buffer, at.buffer, dense.buffer);
      dense.kernels.gather(dense.buffer, at.buffer, back.buffer);
      expect(back.dataSync()).toEqual(x.dataSync());
    });
  });
});
