import { describe, expect, it } from "vitest";
import { cyclicDensity, dropFractionCosine } from "../../src/sparse/schedule.js";

describe("the drop fraction", () => {
  it("falls from 0.5 to 0.005 over the 88,000 steps of 250 CIFAR-10 epochs", () => {
    const dropFraction = dropFractionCosine({ steps: 88_000 });
    const table = [
      [0, 0.5],
      [4_000, 0.4975],
      [20_000, 0.44],
      [44_000, 0.2525],
      [66_000, 0.0775],
      [84_000, 0.0075],
      [88_000, 0.005],
    ];
    for (const [step, fraction] of table) expect(dropFraction(step), `step ${step}`).toBeCloseTo(fraction, 3);
  });

  it("is 0.329 at 40 % of training, where EAST's cycles end", () => {
    expect(dropFractionCosine({ steps: 88_000 })(35_200)).toBeCloseTo(0.329, 3);
  });

  it("starts where it is told", () => {
    expect(dropFractionCosine({ initial: 0.3, steps: 100 })(0)).toBe(0.3);
    expect(dropFractionCosine({ initial: 0.3, steps: 100 })(100)).toBe(0.005);
  });
});

describe("cyclic density", () => {
  const options = { low: 0.0005, high: 0.0015, cycles: 2, length: 17_600, multiplier: 1, pattern: "cosine" } as const;

  it("two cycles of 50 CIFAR-10 epochs last 35,200 steps", () => {
    expect(cyclicDensity(options).length).toBe(35_200);
  });

  it("starts at the target, peaks at three times the target in the middle of each cycle and returns", () => {
    const { density } = cyclicDensity(options);
    expect(density(1)).toBe(0.0005);
    expect(density(4_401)).toBeCloseTo(0.001, 12);
    expect(density(8_801)).toBe(0.0015);
    expect(density(13_201)).toBeCloseTo(0.001, 12);
    expect(density(17_601)).toBe(0.0005);
    expect(density(26_401)).toBe(0.0015);
  });

  it("with updates every 4,000 steps the last one before the end would leave 1.585 times the target", () => {
    const { density } = cyclicDensity(options);
    const timesTarget = (step: number) => density(step) / 0.0005;
    expect(timesTarget(32_000)).toBeCloseTo(1.585, 3);
    expect(timesTarget(34_500)).toBeCloseTo(1.031, 3);
    expect(timesTarget(35_000)).toBeCloseTo(1.0026, 4);
    expect(timesTarget(35_100)).toBeCloseTo(1.001, 3);
  });

  it("is exactly the target at its last step and ever after", () => {
    const { density } = cyclicDensity(options);
    expect([35_200, 35_201, 88_000].map(density)).toEqual([0.0005, 0.0005, 0.0005]);
    expect(density(0)).toBe(0.0005);
  });

  it("the triangular pattern is a straight line up and down", () => {
    const { density } = cyclicDensity({ ...options, low: 0.125, high: 0.375, length: 8, pattern: "triangular" });
    const one = [0.125, 0.1875, 0.25, 0.3125, 0.375, 0.3125, 0.25, 0.1875];
    // The last step of all is at the target already.
    expect(Array.from({ length: 17 }, (_, t) => density(t + 1))).toEqual([...one, ...one.slice(0, 7), 0.125, 0.125]);
  });

  it("a multiplier of 2 makes the second cycle twice as long, with the same peak", () => {
    const { density, length } = cyclicDensity({ ...options, length: 100, multiplier: 2 });
    expect(length).toBe(300);
    expect(density(51)).toBe(0.0015);
    expect(density(101)).toBe(0.0005);
    expect(density(201)).toBe(0.0015);
  });

  it("impossible options are refused", () => {
    expect(() => cyclicDensity({ ...options, high: 1.5 })).toThrow(
      "expected 0 < low <= high <= 1, got low 0.0005 and high 1.5",
    );
    expect(() => cyclicDensity({ ...options, cycles: 0 })).toThrow("expected a whole number of cycles, got 0");
    expect(() => cyclicDensity({ ...options, length: 0 })).toThrow("expected a length of at least 1 step, got 0");
    expect(() => cyclicDensity({ ...options, multiplier: 0 })).toThrow("expected a multiplier above 0, got 0");
  });
});
