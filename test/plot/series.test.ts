import { describe, expect, it } from "vitest";
import { band, seriesOf } from "../../src/plot/series.js";
import { runOf } from "./runs.js";

const labels = (...changes: Readonly<Record<string, unknown>>[]) =>
  seriesOf(changes.map((change) => runOf(change))).map(({ label, runs }) => [label, runs.length]);

describe("series", () => {
  it("join the runs that differ by nothing but their seed", () => {
    expect(labels({ seed: 1 }, { seed: 2 }, { seed: 3 })).toEqual([["resnet20, rigl, 99 %", 3]]);
  });

  it("are named by what tells them apart, and by no more", () => {
    expect(labels({ sparsity: 99 }, { sparsity: 99.9 }, { sparsity: 99.9, seed: 2 })).toEqual([
      ["99 %", 1],
      ["99.9 %", 2],
    ]);
    // That EAST clips follows from its name.
    expect(labels({ method: "east", clip: "active" }, { method: "rigl" })).toEqual([
      ["east", 1],
      ["rigl", 1],
    ]);
    expect(labels({ method: "east", clip: "active" }, { method: "east", clip: "dense" }, {})).toEqual([
      ["east, clip active", 1],
      ["east, clip dense", 1],
      ["rigl, clip off", 1],
    ]);
  });
});

describe("a band", () => {
  it("has the mean and the sample's standard deviation where runs have values", () => {
    const [first, second] = [[1, 2, 3].map((x) => ({ x, y: 10 * x })), [1, 2].map((x) => ({ x, y: 10 * x + 2 }))];
    const std = Math.SQRT2;
    expect(band([first, second])).toEqual([
      { x: 1, y: 11, low: 11 - std, high: 11 + std, runs: 2 },
      { x: 2, y: 21, low: 21 - std, high: 21 + std, runs: 2 },
      { x: 3, y: 30, low: 30, high: 30, runs: 1 },
    ]);
  });
});
