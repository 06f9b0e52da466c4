import { describe, expect, it } from "vitest";
import { curveRows } from "../../src/plot/curves.js";
import { gradientRows } from "../../src/plot/gradient-flow.js";
import { binRows } from "../../src/plot/histograms.js";
import { layerRows } from "../../src/plot/layers.js";
import { positiveByLayer, positiveRows } from "../../src/plot/pre-activations.js";
import { scheduleRows } from "../../src/plot/schedule.js";
import { sparsityRows } from "../../src/plot/sparsity.js";
import { topologyRows } from "../../src/plot/topology.js";
import { epoch, runOf } from "./runs.js";

const label = "resnet20, rigl, 99 %";
const single = (x: number, y: number) => ({ series: label, x, y, low: y, high: y, runs: 1 });

describe("rows of data", () => {
  it("of curves are what epochs ended with, without those that were not measured", () => {
    const runs = [1, 2].map((seed) =>
      runOf({ seed }, [
        epoch(1, { trainLoss: seed, validationAccuracy: 0.25 * seed }),
        epoch(2, { trainLoss: 0.5, validationAccuracy: null }),
      ]),
    );
    const spread = 25 * Math.SQRT1_2; // of 25 and 50
    expect(curveRows(runs, "validationAccuracy", 100)).toEqual([
      { series: label, x: 1, y: 37.5, low: 37.5 - spread, high: 37.5 + spread, runs: 2 },
    ]);
    expect(curveRows(runs, "trainLoss").map(({ x, y }) => [x, y])).toEqual([
      [1, 1.5],
      [2, 0.5],
    ]);
  });

  it("of accuracy against sparsity are median, least and most, the dense network at 0, unfinished runs left out", () => {
    const ended = (changed: object, testAccuracy: number) =>
      runOf({ ...changed }, [{ type: "end", step: 9, testAccuracy }]);
    const rows = sparsityRows([
      ended({ sparsity: 99.9 }, 0.5),
      ended({ seed: 1 }, 0.75),
      ended({ seed: 2 }, 0.25),
      ended({ seed: 3 }, 0.5),
      ended({ seed: 4 }, 1),
      ended({ method: "dense" }, 1),
      runOf({ seed: 5 }),
    ]);
    expect(rows).toEqual([
      { series: "rigl", sparsity: 99, accuracy: 62.5, low: 25, high: 100, runs: 4 },
      { series: "rigl", sparsity: 99.9, accuracy: 50, low: 50, high: 50, runs: 1 },
      { series: "dense", sparsity: 0, accuracy: 100, low: 100, high: 100, runs: 1 },
    ]);
  });

  it("of schedules are the steps at which something changes, by the epoch", () => {
    const densities = [0.25, 0.25, 0.25, 0.5, 0.5];
    const events = densities.map((density, i) => ({ type: "step", step: i + 1, density, targetDensity: 0.25 }));
    const rows = scheduleRows(
      [runOf({}, events)],
      { actual: "density", target: "targetDensity" },
      (x) => 100 * (1 - x),
    );
    expect(rows.map(({ line, x, y }) => [line, x, y])).toEqual([
      ["actual", 0.1, 75],
      ["actual", 0.3, 75],
      ["actual", 0.4, 50],
      ["actual", 0.5, 50],
      ["target", 0.1, 75],
      ["target", 0.5, 75],
    ]);
  });

  it("of the topology are percentages of what there is", () => {
    const run = runOf({}, [
      { type: "liveness", step: 1, layers: [{ channels: 6, liveChannels: 3 }, { channels: 2, liveChannels: 1 }] }, // biome-ignore format: beside each other
      { type: "topology", step: 5, nnz: 8, dropped: 2, grown: 2 },
      epoch(1, { nnz: 8, liveWeights: 6, explored: 0.125 }),
    ]);
    expect(topologyRows([run], "liveChannels")).toEqual([single(0.1, 50)]);
    expect(topologyRows([run], "turnover")).toEqual([single(0.5, 25)]);
    expect(topologyRows([run], "liveWeights")).toEqual([single(1, 75)]);
    expect(topologyRows([run], "explored")).toEqual([single(1, 12.5)]);
  });

  it("of heat maps are the layers as last known at the end of each epoch", () => {
    const layer = (nnz: number, live: number) => ({ name: "conv1.weight", size: 16, nnz, live });
    const run = runOf({}, [
      { type: "liveness", step: 1, layers: [layer(4, 2)] },
      { type: "liveness", step: 15, layers: [layer(8, 8)] },
      { type: "liveness", step: 21, layers: [layer(2, 2)] },
      { type: "pre-activations", step: 20, positive: 0.5, layers: [{ name: "activation1", positive: 0.5 }] },
      epoch(1, {}),
      epoch(2, {}),
    ]);
    expect(layerRows(run, "density")).toEqual([
      { layer: "conv1", from: 0, to: 1, value: 25 },
      { layer: "conv1", from: 1, to: 2, value: 50 },
    ]);
    expect(layerRows(run, "live").map(({ value }) => value)).toEqual([50, 100]);
    expect(layerRows(run, "positive")).toEqual([{ layer: "activation1", from: 1, to: 2, value: 50 }]);
  });

  it("of positive pre-activations are the mean over time and each activation at the last look", () => {
    const look = (step: number, ...layers: number[]) => ({
      type: "pre-activations",
      step,
      positive: (layers[0] + layers[1]) / 2,
      layers: layers.map((positive, i) => ({ name: `activation${i}`, positive })),
    });
    const run = runOf({}, [look(10, 0.5, 0.25), look(20, 0.25, 0.75)]);
    expect(positiveRows([run])).toEqual([single(1, 37.5), single(2, 50)]);
    expect(positiveByLayer([run])).toEqual([single(1, 25), single(2, 75)]);
  });

  it("of gradient flow are sums over the network or a part of it", () => {
    const layers = {
      "conv1.weight": 1,
      "layer1.0.conv1.weight": 2,
      "layer1.0.shortcut.conv.weight": 4,
      "fc.weight": 8,
    };
    const events = [
      { type: "gradient-flow", step: 10, layers: Object.entries(layers).map(([name, norm]) => ({ name, norm })) },
    ];
    const sums = [null, "stem", "layer1", "classifier"].map((part) => gradientRows([runOf({}, events)], part));
    expect(sums).toEqual([[single(1, 15)], [single(1, 1)], [single(1, 6)], [single(1, 8)]]);
  });

  it("of histograms are the shares of the bins that hold something", () => {
    const weights = { min: -1, max: 1, counts: [1, 0, 0, 3] };
    const run = runOf({}, [{ type: "histograms", step: 10, layers: [{ name: "fc.weight", weights }] }]);
    expect(binRows(run)).toEqual([
      { layer: "fc.weight", from: -1, to: -0.5, share: 25 },
      { layer: "fc.weight", from: 0.5, to: 1, share: 75 },
    ]);
  });
});
