import { describe, expect, it } from "vitest";
import { expandGrid } from "../../src/experiments/index.js";

const failure = (grid: unknown) => {
  try {
    expandGrid(grid, "grid.json");
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
};

describe("a grid", () => {
  it("multiplies its lists out, the last key changing fastest", () => {
    const points = expandGrid({ method: ["rigl", "east"], sparsity: 99, seed: [1, 2] }, "grid.json");
    expect(points.map(({ config }) => config)).toEqual([
      { method: "rigl", sparsity: 99, seed: 1 },
      { method: "rigl", sparsity: 99, seed: 2 },
      { method: "east", sparsity: 99, seed: 1 },
      { method: "east", sparsity: 99, seed: 2 },
    ]);
  });

  it("takes its data apart from its settings: digits unless it says otherwise", () => {
    const [digits] = expandGrid({ epochs: 1 }, "grid.json");
    expect(digits.source).toEqual({ from: "digits", validation: "split" });
    const [other] = expandGrid({ data: "cifar10", validation: "none", imageSize: 16, flip: false }, "grid.json");
    expect(other).toEqual({ config: {}, source: { from: "cifar10", validation: "none", imageSize: 16, flip: false } });
  });

  it("may be several grids after one another", () => {
    const points = expandGrid(
      [
        { method: "rigl", seed: [1, 2] },
        { method: "dctps+rigl", epochs: 200 },
      ],
      "grid.json",
    );
    expect(points.map(({ config }) => config)).toEqual([
      { method: "rigl", seed: 1 },
      { method: "rigl", seed: 2 },
      { method: "dctps+rigl", epochs: 200 },
    ]);
  });

  it("names what is wrong in one sentence", () => {
    expect(failure({ sparisty: [99] })).toBe(
      'grid.json: expected known settings, got "sparisty"; did you mean "sparsity"?',
    );
    expect(failure({ sparsity: [99, 100] })).toBe(
      "grid.json: sparsity: expected a percentage below 100, as at 100 no weight is left, got 100",
    );
    expect(failure({ method: "rigll" })).toMatch(
      /^grid\.json: method: expected one of dense, .*, got rigll; did you mean rigl\?$/,
    );
    expect(failure({ seed: [] })).toBe("grid.json: seed: expected at least one value, got an empty list");
    expect(failure({ validation: "half" })).toBe("grid.json: validation: expected split or none, got half");
    expect(failure([{ seed: 1 }, 7])).toBe("grid.json[1]: expected an object of settings, got 7");
  });
});
