import { describe, expect, it } from "vitest";
import { epochsCsv, layersCsv } from "../../src/plot/index.js";
import { epoch, runOf } from "./runs.js";

describe("CSV", () => {
  const run = runOf({}, [
    { type: "liveness", step: 1, liveWeights: 3, layers: [{ name: "conv1.weight", nnz: 4, live: 3 }] },
    { type: "pre-activations", step: 20, positive: 0.5, layers: [{ name: 'a "b", c', positive: 0.5 }] },
    { type: "histograms", step: 20, layers: [{ name: "conv1.weight", weights: {} }] },
    epoch(1, { trainLoss: 2.5, validationLoss: null, seconds: 1 }),
    epoch(2, { trainLoss: 1.5, validationLoss: 0.25, seconds: 2 }),
  ]);

  it("of epochs has a row for each, and empty cells where nothing was measured", () => {
    expect(epochsCsv(run).split("\n")).toEqual([
      "epoch,step,trainLoss,seconds,validationLoss,positivePreActivations",
      "1,10,2.5,1,,",
      "2,20,1.5,2,0.25,0.5",
      "",
    ]);
  });

  it("of layers has a row for each number, and quotes what would break a line", () => {
    expect(layersCsv(run).split("\n")).toEqual([
      "step,epochs,event,layer,quantity,value",
      "1,0.1,liveness,conv1.weight,nnz,4",
      "1,0.1,liveness,conv1.weight,live,3",
      '20,2,pre-activations,"a ""b"", c",positive,0.5',
      "",
    ]);
  });
});
