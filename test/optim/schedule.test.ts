import { describe, expect, it } from "vitest";
import { constant, cosine, linear, stepDecay } from "../../src/optim/schedule.js";

describe("schedules", () => {
  it("a constant never changes", () => {
    expect([0, 1, 1e6].map(constant(0.1))).toEqual([0.1, 0.1, 0.1]);
  });

  it("a line reaches its end after its steps and stays there", () => {
    expect([0, 25, 50, 100, 101].map(linear({ from: 1, to: 0, steps: 100 }))).toEqual([1, 0.75, 0.5, 0, 0]);
  });

  it("a cosine starts flat, is half way in the middle, ends flat and stays there", () => {
    const schedule = cosine({ from: 1, to: 0, steps: 100 });
    expect(schedule(0)).toBe(1);
    expect(schedule(25)).toBeCloseTo(0.8536, 4);
    expect(schedule(50)).toBeCloseTo(0.5, 12);
    expect(schedule(75)).toBeCloseTo(0.1464, 4);
    expect(schedule(100)).toBe(0);
    expect(schedule(500)).toBe(0);
  });

  it("a ramp may rise", () => {
    expect(linear({ from: 0, to: 10, steps: 4 })(3)).toBe(7.5);
    expect(cosine({ from: 0, to: 10, steps: 4 })(2)).toBeCloseTo(5, 12);
  });

  it("before its first step a ramp holds its start", () => {
    expect(linear({ from: 2, to: 0, steps: 10 })(-1)).toBe(2);
  });

  it("step decay drops at each milestone: epochs 126 and 188 of 250 are the first slower ones", () => {
    const learningRate = stepDecay({ initial: 0.1, factor: 0.1, milestones: [125, 187] });
    // Counted from 0, so epoch 126 is 125.
    expect(learningRate(0)).toBe(0.1);
    expect(learningRate(124)).toBe(0.1);
    expect(learningRate(125)).toBeCloseTo(0.01, 15);
    expect(learningRate(186)).toBeCloseTo(0.01, 15);
    expect(learningRate(187)).toBeCloseTo(0.001, 15);
    expect(learningRate(249)).toBeCloseTo(0.001, 15);
  });

  it("a ramp without steps is refused", () => {
    expect(() => cosine({ from: 1, to: 0, steps: 0 })).toThrow("cosine: expected steps above 0, got 0");
    expect(() => linear({ from: 1, to: 0, steps: Number.NaN })).toThrow("linear: expected steps above 0, got NaN");
  });
});
