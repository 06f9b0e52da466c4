import { describe, expect, it } from "vitest";
import { BitWriter, codeOf } from "../../src/compile/program/bit-writer.js";
import { inBits } from "../../src/compile/program/bits.js";
import { inColumns } from "../../src/compile/program/columns.js";
import { f32Program } from "../../src/compile/program/f32.js";
import { graphOf } from "./equations.js";

const graph = graphOf(["p1 = relu(3 + 2 p0); p2 = 7 p0[0,1]", "p3 = -4 + max(p1 + 0.5, 0) + 5 p2"], { width: 2 });

describe("a program", () => {
  const program = f32Program(graph);

  it("has of each step a head: op, rows, extents, stride, its weights and inputs, ReLU and scaled", () => {
    expect(program.steps.map(({ head }) => head)).toEqual([
      [0, 2, 1, 2, 1, 2, 1, ...[0, 2, 1, 0, 0, 1, 2, 1], 1, 0],
      [0, 1, 1, 2, 1, 2, 1, ...[2, 1, 1, 0, 0, 1, 1, 1], 0, 0],
    ]);
  });

  it("has of each step its inputs, then its rows, number by number", () => {
    expect(program.steps[1].fields).toEqual([
      ["input gap", 0],
      ["input", 2],
      ["channel gap", 0],
      ["output", 3],
      ["bordered", 0],
      ["has residual", 1],
      ["source", 1],
      ["changed", 1],
    ]);
  });

  it("has weights, the gaps between their positions, and in f32 all other numbers, in order of use", () => {
    expect(program.weights).toEqual([2, 7, 5]);
    expect(program.positions).toEqual([[0, 2], [0]]); // (row · inputs + input) · 2 taps + tap
    expect(program.numbers).toEqual([3, 0, -4, 0.5, 0]);
  });
});

describe("bits", () => {
  it("are in fixed widths, or in Rice's code where that is shorter", () => {
    expect(codeOf([])).toEqual({ base: 0, unit: 1, width: 0, rice: false });
    expect(codeOf([9, 9])).toEqual({ base: 9, unit: 1, width: 0, rice: false });
    expect(codeOf([-4, 2, 8])).toEqual({ base: -4, unit: 6, width: 2, rice: false });
    expect(codeOf([0, 0, 1, 0, 0, 0, 15])).toEqual({ base: 0, unit: 1, width: 1, rice: true });
  });

  it("fill bytes from the lowest on", () => {
    const out = new BitWriter();
    out.coded(8, { base: -4, unit: 6, width: 2, rice: false }); // 2 in 2 bits
    out.coded(5, { base: 0, unit: 1, width: 1, rice: true }); // 2 ones, a zero, a 1
    out.natural(5); // 3 in 6 bits, then 5 in 3
    expect(Array.from(out.bytes)).toEqual([0b11101110, 0b1010000]);
  });
});

describe("the planes of a program", () => {
  const lines = ["p1 = 2 p0; p2 = 3 p0", "p3 = 4 p1; p4 = 5 p2", "p5 = 6 p3 + 7 p4"];
  const program = f32Program(graphOf(lines, { width: 10 }));

  it("take each other's places row by row in bits", () => {
    expect(inBits(program).arena).toBe(30);
  });

  it("lie side by side in columns, step by step, so that hardly a place needs to be said", () => {
    expect(inColumns(program, false).arena).toBe(40);
  });
});
