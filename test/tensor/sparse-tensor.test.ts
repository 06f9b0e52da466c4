import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DenseGradient, memory, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { randomIndices } from "../ops.cases.js";

const topology = () => new Topology([2, 3, 1, 2], Int32Array.of(1, 4, 6, 10));

describe("topology", () => {
  it("knows how many weights exist", () => {
    expect(topology().nnz).toBe(4);
    expect(topology().density).toBe(4 / 12);
    expect(new Topology([3, 3], new Int32Array(0)).density).toBe(0);
  });

  it.each([
    [[1, 1], "1 at position 1"],
    [[2, 1], "1 at position 1"],
    [[0, 12], "12 at position 1"],
    [[-1, 3], "-1 at position 0"],
  ])("refuses indices %j", (indices, got) => {
    expect(() => new Topology([2, 3, 1, 2], Int32Array.from(indices))).toThrow(
      `topology: expected ascending indices below 12, got ${got}`,
    );
  });

  it("derives the orders that the kernels walk", () => {
    const { rowStart, rowEntry, columnStart, columnEntry, columnValue } = topology().orders;
    expect([...rowStart.dataSync()]).toEqual([0, 2, 4]);
    expect([...rowEntry.dataSync()]).toEqual([1, 4, 0, 4]);
    expect([...columnStart.dataSync()]).toEqual([0, 2, 2, 4]);
    // Column 0 holds weights 1 (row 0, tap 1) and 6 (row 1, tap 0); column 2 holds 4 (row 0) and 10 (row 1), tap 0.
    expect([...columnEntry.dataSync()]).toEqual([1, 2, 0, 2]);
    expect([...columnValue.dataSync()]).toEqual([0, 2, 1, 3]);
  });

  it("rows and columns hold the same weights, on random topologies", () => {
    const extents = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.constantFrom(1, 3));
    const property = fc.property(
      extents,
      fc.constantFrom(1, 0.3, 0.02, 0),
      fc.nat(1000),
      ([o, i, k], density, seed) => {
        const shape = [o, i, k, k];
        const made = new Topology(shape, randomIndices(seed, sizeOf(shape), density));
        const { rowStart, rowEntry, columnStart, columnEntry, columnValue } = made.orders;
        const taps = k * k;
        const read = (tensor: Tensor) => [...tensor.dataSync()];
        const [rows, entries] = [read(rowStart), read(rowEntry)];
        const byRow = rows.slice(1).flatMap((end, row) => entries.slice(rows[row], end).map((e) => row * i * taps + e));
        expect(byRow).toEqual([...made.indices]);
        const [columns, at, values] = [read(columnStart), read(columnEntry), read(columnValue)];
        const byColumn = columns
          .slice(1)
          .flatMap((end, column) =>
            at.slice(columns[column], end).map((e) => (Math.floor(e / taps) * i + column) * taps + (e % taps)),
          );
        expect(byColumn).toEqual(values.map((v) => made.indices[v]));
        expect([...values].sort((a, b) => a - b)).toEqual([...made.indices.keys()]);
        made.dispose();
      },
    );
    fc.assert(property, { numRuns: 100, seed: 1 });
  });

  it("keeps its orders beyond the scope that first asked for them, until it is disposed", () => {
    const before = memory().live;
    const made = topology();
    scope(() => made.orders);
    expect(made.orders.rowStart.disposed).toBe(false);
    made.dispose();
    expect(memory().live).toBe(before);
  });
});

describe("sparse tensor", () => {
  it("has one value for each index", () => {
    scope(() => {
      const sparse = new SparseTensor(topology(), Tensor.zeros([4]));
      expect(sparse.nnz).toBe(4);
      expect(sparse.shape).toEqual([2, 3, 1, 2]);
      expect(() => new SparseTensor(topology(), Tensor.zeros([3]))).toThrow("sparse tensor: expected 4 values, got 3");
    });
  });
});

describe("dense gradient", () => {
  it("starts empty, adds up from the second use on, and is empty again when cleared", () => {
    const gradient = new DenseGradient();
    const like = Tensor.zeros([1], { dtype: "f64" });
    expect(gradient.wanted).toBe(false);
    const first = gradient.into([2, 2], like);
    expect(first.accumulate).toBe(false);
    expect(first.tensor.dtype).toBe("f64");
    const second = gradient.into([2, 2], like);
    expect(second.accumulate).toBe(true);
    expect(second.tensor).toBe(first.tensor);
    gradient.clear();
    expect(first.tensor.disposed).toBe(true);
    expect(gradient.tensor).toBe(null);
    like.dispose();
  });
});
