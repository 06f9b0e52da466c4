import { describe, expect, it } from "vitest";
import type { Run } from "../../src/plot/run.js";
import {
  accuracyAgainstSparsity,
  cyclicSparsity,
  gradientFlow,
  preActivationRemarks,
} from "../../src/reproduce/figures.js";
import type { Row } from "../../src/reproduce/index.js";
import { statistics } from "../../src/reproduce/rows.js";

interface Panel {
  readonly title: string;
  readonly data: { readonly values: readonly unknown[] };
}
const panelsOf = (figure: object | null) => (figure as { concat: readonly Panel[] }).concat;

const row = (label: string, sparsity: number, paper: number | null, ...values: number[]): Row => ({
  ...{ model: "resnet34", data: "cifar10", sparsity, method: label.toLowerCase(), label },
  paper: paper === null ? null : { mean: paper, std: null },
  ours: statistics(values),
  ...{ values, wanted: values.length, runs: [], differs: [] },
});

/** A run of two epochs of two steps. */
const run = (method: string, seed: number, first: number): Run => ({
  name: `${method}-${seed}`,
  settings: { model: "resnet34", data: "cifar100", sparsity: 99.95, method, seed },
  stepsPerEpoch: 2,
  begun: 0,
  events: [
    { type: "step", step: 1, epoch: 1, loss: 1, accuracy: 0, learningRate: 1, density: 0.25, targetDensity: 0.5 },
    { type: "epoch", step: 2, epoch: 1, validationAccuracy: first / 100 } as never,
    { type: "gradient-flow", step: 2, norm: first, layers: [{ name: "conv1.weight", norm: first }] },
    { type: "epoch", step: 4, epoch: 2, validationAccuracy: 0.5 } as never,
  ],
});

describe("figure 2", () => {
  it("holds every run and the paper's mean, and leaves the dense network out", () => {
    const figure = accuracyAgainstSparsity("Figure 2", [row("EAST", 99.9, 87, 86.5, 87.5), row("dense", 0, null, 94)]);
    const [panel, ...others] = panelsOf(figure);
    expect(others).toEqual([]);
    expect(panel.title).toBe("resnet34, cifar10");
    expect(panel.data.values).toEqual([
      { series: "EAST", sparsity: 99.9, accuracy: 86.5, source: "ours" },
      { series: "EAST", sparsity: 99.9, accuracy: 87.5, source: "ours" },
      { series: "EAST", sparsity: 99.9, accuracy: 87, source: "paper" },
    ]);
  });
});

describe("figure 3", () => {
  it("sets the numbers of the text beside ours", () => {
    const look = (step: number, positive: number) => ({ type: "pre-activations" as const, step, positive, layers: [] });
    const looked = (method: string, seed: number, first: number, last: number): Run => ({
      ...run(method, seed, 1),
      events: [look(2, first), look(4, last)],
    });
    const runs = [looked("RigL w/ ReLU", 1, 0.5, 0.02), looked("RigL w/ DyReLU", 1, 0.5, 0.04)];
    expect(preActivationRemarks([...runs, looked("RigL w/ DyReLU", 2, 0.6, 0.05)])).toEqual([
      "positive pre-activations of RigL w/ ReLU at the last look: paper 1.3 %, ours 2.0 % (n = 1)",
      "positive pre-activations of RigL w/ DyReLU at the first look: paper 56.8 %, ours 55.0 % (n = 2)",
      "positive pre-activations of RigL w/ DyReLU at the last look: paper 4.5 %, ours 4.5 % (n = 2)",
    ]);
  });
});

describe("figure 5", () => {
  it("has one line with a band for the seeds of a method", () => {
    const [panel] = panelsOf(gradientFlow("Figure 5", [run("RigL w/ ReLU", 1, 2), run("RigL w/ ReLU", 2, 4)]));
    expect(panel.title).toBe("resnet34, cifar100, 99.95 %");
    const band = { low: expect.closeTo(3 - Math.SQRT2), high: expect.closeTo(3 + Math.SQRT2), runs: 2 };
    expect(panel.data.values).toEqual([{ series: expect.any(String), x: 1, y: 3, ...band }]);
  });

  it("does not exist for runs that nobody looked at", () => {
    const blind = { ...run("RigL", 1, 2), events: [] };
    expect(gradientFlow("Figure 5", [blind])).toBeNull();
  });
});

describe("figure 6", () => {
  it("shows sparsity aimed at and had, and accuracy, by the paper's names", () => {
    const figure = cyclicSparsity("Figure 6", [run("static", 1, 40), run("cyclic", 1, 45)]);
    const [schedule, accuracy] = panelsOf(figure);
    const at = (y: number) => ({ x: 0.5, y, low: y, high: y, runs: 1 });
    expect(schedule.data.values).toEqual([
      { series: "static, actual", ...at(75) },
      { series: "static, target", ...at(50) },
      { series: "cyclic, actual", ...at(75) },
      { series: "cyclic, target", ...at(50) },
    ]);
    const mean = (series: string, x: number, y: number) => ({ series, x, y, low: y, high: y, runs: 1 });
    expect(accuracy.data.values).toEqual([
      mean("static", 1, 40),
      mean("static", 2, 50),
      mean("cyclic", 1, 45),
      mean("cyclic", 2, 50),
    ]);
  });
});
