import { describe, expect, it } from "vitest";
import { bytes, count, duration, millions, percent, table } from "../../src/cli/format.js";
import { barLine } from "../../src/cli/progress.js";

describe("numbers for people", () => {
  it.each([
    [0, "0.00 %"],
    [0.8312, "83.12 %"],
    [1, "100.00 %"],
    [0.0001, "0.01 %"],
    [0.000012, "0.0012 %"],
  ])("prints the fraction %d as %s", (fraction, text) => {
    expect(percent(fraction)).toBe(text);
  });

  it.each([
    [0.04, "0.0 s"],
    [12.34, "12.3 s"],
    [59.96, "1 min 00 s"],
    [185, "3 min 05 s"],
    [7620, "2 h 07 min"],
    [3599.7, "1 h 00 min"],
  ])("prints %d seconds as %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it("prints counts, MACs and bytes", () => {
    expect(count(21_265_088)).toBe("21,265,088");
    expect(millions(1_159_402_496)).toBe("1159.402 M");
    expect([0, 999, 1000, 85_060_352].map(bytes)).toEqual(["0 B", "999 B", "1.00 kB", "85.06 MB"]);
  });

  it("aligns a table", () => {
    const rows = [
      ["a", "1"],
      ["bcd", "1,000"],
    ];
    expect(table(["name", "n"], rows, [0])).toBe("name      n\na         1\nbcd   1,000\n");
  });
});

describe("the progress bar", () => {
  const event = {
    type: "step",
    step: 50,
    epoch: 3,
    loss: 0.5,
    accuracy: 0.831,
    learningRate: 0.1,
    density: 0.001,
    beta: 0.5,
  } as const;
  const state = { epochs: 250, batch: 128, steps: 88_000, startedAt: 0, startedFrom: 0, live: 21_265 };

  it.each([40, 80, 100, 200])("stays within %d columns", (columns) => {
    expect(barLine(event, 0.4, state, columns).length).toBeLessThan(columns);
  });

  it("shows loss, accuracy, density, beta and live weights", () => {
    const line = barLine(event, 0.5, state, 200);
    expect(line).toMatch(
      /^\[={15}-{15}\] {2}epoch 3\/250 {2}ETA .* img\/s {2}loss 0\.500 {2}accuracy 83\.1 % {2}density/,
    );
    expect(line).toMatch(/density 0\.10 % {2}beta 0\.50 {2}live 21,265$/);
  });
});
