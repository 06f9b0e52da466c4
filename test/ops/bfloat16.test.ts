import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { cast, conv2d, crossEntropy, multiply, sum } from "../../src/ops/index.js";
import { backward, SparseTensor, scope, Tensor, Topology, type TypedArray, threads } from "../../src/tensor/index.js";
import { bytes, expectClose, rounded, signed } from "../numbers.js";
import { type Instance, opCases } from "../ops.cases.js";

const before = threads();
afterAll(() => {
  threads(before);
});

const numberOf = (word: number) => new Float32Array(Uint32Array.of(word).buffer)[0];

/** The bf16 nearest to the f32 whose bits are `word`; of two equally near, the one whose last bit is 0. */
function nearest(word: number): number {
  const value = numberOf(word);
  if (Number.isNaN(value)) return Number.NaN;
  const down = (word & 0xffff0000) >>> 0;
  const rest = word & 0xffff;
  const even = (down & 0x10000) === 0;
  return numberOf(rest < 0x8000 || (rest === 0x8000 && even) ? down : down + 0x10000);
}
const same = (a: number, b: number) => a === b || (Number.isNaN(a) && Number.isNaN(b));

// Any bits, and in half of the cases a lower half where rounding turns.
const words = fc
  .tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 9 }))
  .map(([high, low, turn]) => high * 0x10000 + ([0, 0x7fff, 0x8000, 0x8001, 0xffff][turn] ?? low));

describe("a number stored as bf16", () => {
  it.each([
    ["is one that 8 bits hold", 0x3f800000, 1],
    ["rounds a tie down to the even neighbour", 0x3f808000, 1],
    ["rounds a tie up to the even neighbour", 0x3f818000, 1.015625],
    ["rounds up above a tie", 0x3f808001, 1.0078125],
    ["overflows to infinity beyond the largest", 0x7f7fffff, Number.POSITIVE_INFINITY],
    ["keeps infinity", 0xff800000, Number.NEGATIVE_INFINITY],
    ["keeps a NaN whose upper half alone is infinity's", 0x7f800001, Number.NaN],
    ["keeps a NaN of all ones", 0xffffffff, Number.NaN],
    ["rounds subnormal numbers as others", 0x00018001, numberOf(0x00020000)],
    ["keeps the sign of zero", 0x80000000, -0],
  ])("%s", (_, word, expected) => {
    expect(nearest(word)).toBe(expected);
    scope(() => expect(Tensor.from([numberOf(word)], [1], { dtype: "bf16" }).dataSync()[0]).toBe(expected));
  });

  it("is the nearest, bit by bit", () => {
    fc.assert(
      fc.property(fc.array(words, { minLength: 1, maxLength: 70 }), (list) =>
        scope(() => {
          const exact = new Float32Array(Uint32Array.from(list).buffer);
          const stored = Tensor.from(exact, [list.length], { dtype: "bf16" }).dataSync();
          for (const [i, word] of list.entries())
            if (!Object.is(stored[i], nearest(word))) expect.fail(`${word.toString(16)} became ${stored[i]}`);
        }),
      ),
      { numRuns: 300 },
    );
  });

  it("is the nearest where a kernel rounds whole vectors and the rest of a run", () => {
    fc.assert(
      fc.property(fc.array(words, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 70 }), (list, n) =>
        scope(() => {
          // One weight per output on an input of ones: what the kernel rounds is the weight itself.
          const topology = new Topology([list.length, 1, 1, 1], Int32Array.from(list.keys()));
          const values = Tensor.from(new Float32Array(Uint32Array.from(list).buffer), [list.length]);
          const ones = Tensor.full([1, 1, 1, n], 1, { dtype: "bf16" });
          const y = conv2d(ones, new SparseTensor(topology, values)).dataSync();
          for (const [i, word] of list.entries()) {
            const subnormal = (word & 0x7f800000) === 0; // kernels take these for 0
            const expected = subnormal ? 0 : nearest(word);
            for (let k = i * n; k < (i + 1) * n; k++)
              if (!same(y[k], expected)) expect.fail(`${word.toString(16)} at ${k} of ${n} became ${y[k]}`);
          }
        }),
      ),
      { numRuns: 200 },
    );
  });
});

/** Positions of the activations among the inputs of ops that take them in bf16; the rest are parameters. */
const activations: Readonly<Record<string, readonly number[]>> = {
  ...Object.fromEntries(["relu", "scale", "reshape", "cast", "maxPool", "globalAveragePool"].map((op) => [op, [0]])),
  ...Object.fromEntries(["denseConv", "sparseConv", "expand", "dyrelu"].map((op) => [op, [0]])),
  ...Object.fromEntries(["add", "multiply"].map((op) => [op, [0, 1]])),
  batchNorm: [0, 3],
};

/** Output and gradients, with the activations stored as `dtype`; the numbers they start from are bf16 in both. */
function evaluate({ inputs, run }: Instance, stored: readonly number[], dtype: "f32" | "bf16") {
  return scope(() => {
    const leaves = inputs.map(({ shape, data, trained }, i) => {
      const start = stored.includes(i) ? Tensor.from(data, shape, { dtype: "bf16" }).dataSync() : data;
      return Tensor.from(start, shape, { requiresGradient: trained });
    });
    const result = run(leaves.map((leaf, i) => (stored.includes(i) ? cast(leaf, dtype) : leaf)));
    const output = cast(result, "f32");
    backward(sum(multiply(output, Tensor.from(rounded(signed(1, output.size)), output.shape))));
    return [output, ...leaves.flatMap(({ gradient }) => gradient ?? [])].map((tensor) => tensor.dataSync());
  });
}

const rows = opCases.flatMap(({ op, title, make }) =>
  activations[op] ? [[`${op}: ${title}`, make(true), activations[op]] as const] : [],
);

describe.each(rows)("bf16 in %s", (_, large, stored) => {
  it("computes what f32 computes, within the rounding of what is stored", () => {
    const [single, half] = (["f32", "bf16"] as const).map((dtype) => evaluate(large, stored, dtype));
    for (const [i, expected] of single.entries())
      expectClose(half[i], expected, { relative: 1.6e-2 }, i === 0 ? "output" : `gradient ${i}`);
  });

  it("computes the same bits on one thread, two and three", () => {
    const [one, ...others] = [1, 2, 3].map((count) => {
      threads(count);
      return evaluate(large, stored, "bf16").map((array: TypedArray) => bytes(array));
    });
    for (const other of others) expect(other).toEqual(one);
  });
});

describe("what is no op on activations", () => {
  const x = () => Tensor.full([3, 2], 1, { dtype: "bf16" });

  it("refuses bf16", () => {
    scope(() => {
      const labels = Tensor.from([0, 1], [2], { dtype: "i32" });
      const message = "kernel: expected a buffer of f32, got bf16; convert it with cast";
      expect(() => sum(x())).toThrow(message);
      expect(() => crossEntropy(x(), labels)).toThrow(message);
    });
  });

  it("refuses f32 and bf16 together", () => {
    scope(() => {
      expect(() => multiply(x(), Tensor.full([3, 2], 1))).toThrow("kernel: expected a buffer of bf16, got f32");
    });
  });

  it("casts neither doubles nor whole numbers", () => {
    scope(() => {
      expect(() => cast(Tensor.full([1], 1, { dtype: "f64" }), "bf16")).toThrow("cast: expected f32 or bf16 numbers");
      expect(() => cast(Tensor.full([1], 1, { dtype: "i32" }), "f32")).toThrow("cast: expected f32 or bf16 numbers");
    });
  });
});
