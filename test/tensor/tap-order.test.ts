import { describe, expect, it } from "vitest";
import { tapOrder } from "../../src/tensor/tap-order.js";

describe("the order of a weight tap by tap", () => {
  // Weight [o 2, i 3, 1, 2]: (output, input, tap) of the indices.
  const shape = [2, 3, 1, 2];
  const indices = [0, 1, 4, 7, 11]; // (0, 0, 0) (0, 0, 1) (0, 2, 0) (1, 0, 1) (1, 2, 1)

  it("has outputs as rows", () => {
    const { start, entry, value, nonzeros } = tapOrder(shape, indices, false);
    expect(nonzeros).toEqual([2, 3]);
    expect([...start]).toEqual([0, 2, 2, 2, /**/ 0, 1, 3, 3]);
    expect([...entry]).toEqual([0, 2, 0, 0, /**/ 0, 0, 2, 0]);
    expect([...value]).toEqual([0, 2, -1, -1, /**/ 1, 3, 4, -1]);
  });

  it("has inputs as rows when transposed", () => {
    const { start, entry, value, nonzeros } = tapOrder(shape, indices, true);
    expect(nonzeros).toEqual([2, 3]);
    expect([...start]).toEqual([0, 1, 1, 2, /**/ 0, 2, 2, 3]);
    expect([...entry]).toEqual([0, 0, 0, 0, /**/ 0, 1, 1, 0]);
    expect([...value]).toEqual([0, 2, -1, -1, /**/ 1, 3, 4, -1]);
  });

  it("of no weights has no entries", () => {
    const { start, entry, nonzeros } = tapOrder(shape, [], false);
    expect([[...start], entry.length, nonzeros]).toEqual([new Array(8).fill(0), 0, [0, 0]]);
  });
});
