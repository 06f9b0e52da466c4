import { describe, expect, it } from "vitest";
import { aliasResiduals } from "../../src/compile/passes/alias-residuals.js";
import { dropUnneeded } from "../../src/compile/passes/drop-unneeded.js";
import { foldConstants } from "../../src/compile/passes/fold-constants.js";
import { foldLinear } from "../../src/compile/passes/fold-linear.js";
import { pack } from "../../src/compile/passes/pack.js";
import { pruneZeros } from "../../src/compile/passes/prune-zeros.js";
import { roundToFloat32 } from "../../src/compile/passes/round.js";
import { equationsOf, graphOf } from "./equations.js";

describe("equations", () => {
  it("say all of a graph", () => {
    const lines = ["p1 = relu(3 + max(p0 + -1.5, 0) + 2 p0[0,1]); p2 = relu(p0 + 3 × 2 p0)", "p3 = maxPool(p2)"];
    expect(equationsOf(graphOf(lines))).toEqual(lines);
  });
});

describe("foldLinear", () => {
  it("makes a convolution, BatchNorm and ReLU one step", () => {
    const graph = graphOf(["p1 = 2 p0", "p2 = 0.5 + 3 p1", "p3 = relu(1 p2)", "p4 = 1 p3 + 5 p3"]);
    expect(equationsOf(foldLinear(graph))).toEqual(["p3 = relu(0.5 + 3 × 2 p0)", "p4 = 1 p3 + 5 p3"]);
  });

  it("folds a sum into the side that nobody else reads", () => {
    const graph = graphOf(["p1 = relu(2 p0)", "p2 = 3 p1 + 4 p1[0,1]", "p3 = relu(p2 + 1 p1)", "p4 = 1 p3"]);
    expect(equationsOf(foldLinear(graph))).toEqual([
      "p1 = relu(2 p0)",
      "p3 = relu(p1 + 3 p1 + 4 p1[0,1])",
      "p4 = 1 p3",
    ]);
  });

  it("leaves a channel alone that another reads before its ReLU", () => {
    const lines = ["p1 = 2 p0", "p2 = relu(1 p1)", "p3 = p1 + 5 p2"];
    expect(equationsOf(foldLinear(graphOf(lines)))).toEqual(lines);
  });
});

describe("pruneZeros", () => {
  it("drops weights that are 0", () => {
    const graph = graphOf(["p1 = 2 p0 + 0 p0[0,1]; p2 = 1 + 0 p0"]);
    expect(equationsOf(pruneZeros(graph))).toEqual(["p1 = 2 p0; p2 = 1"]);
  });
});

describe("foldConstants", () => {
  it("moves what no image changes into biases, less at the border, where a tap falls outside", () => {
    const lines = ["p1 = relu(-1); p2 = relu(3)", "p3 = 1 + p2 + 2 p0 + 7 p1 + 5 p2[0,-1]"];
    expect(equationsOf(foldConstants(graphOf(lines, { height: 1, width: 3 })))).toEqual([
      "p1 = relu(-1); p2 = relu(3)",
      "p3 = bands(rows to 1, columns to 1,3: 4,19) + 2 p0",
    ]);
  });

  it("pools constants", () => {
    const lines = ["p1 = 6", "p2 = maxPool(p1)", "p3 = averagePool(max(p2 + -4, 0))", "p4 = 5 p3"];
    expect(equationsOf(foldConstants(graphOf(lines, { height: 2, width: 2 })))).toEqual(["p1 = 6", "p4 = 10"]);
  });
});

describe("dropUnneeded", () => {
  it("leaves what a logit depends on", () => {
    const graph = graphOf(["p1 = 2 p0; p2 = 3 p0", "p3 = 4 p2", "p4 = p1"]);
    expect(equationsOf(dropUnneeded(graph))).toEqual(["p1 = 2 p0", "p4 = p1"]);
  });
});

describe("aliasResiduals", () => {
  it("reads a channel that is only passed through where it came from, with offset and floor", () => {
    const graph = graphOf(["p1 = 2 p0", "p2 = relu(0.5 + p1)", "p3 = relu(-1 + p2)", "p4 = p3 + 1 p0"]);
    expect(equationsOf(aliasResiduals(graph))).toEqual([
      "p1 = 2 p0",
      "p2 = relu(0.5 + p1)",
      "p3 = relu(-1 + max(p1 + 0.5, 0))",
      "p4 = max(p1 + -0.5, 0) + 1 p0",
    ]);
  });

  it("lets a convolution read it too where the floor never acts, the offset in its bias", () => {
    const graph = graphOf(["p1 = relu(2 p0)", "p2 = relu(0.5 + p1)", "p3 = 4 p2"]);
    expect(equationsOf(aliasResiduals(graph))).toEqual(["p1 = relu(2 p0)", "p2 = relu(0.5 + p1)", "p3 = 2 + 4 p1"]);
  });

  it("leaves a channel alone that a convolution reads and whose floor acts", () => {
    const lines = ["p1 = 2 p0", "p2 = relu(p1)", "p3 = 4 p2"];
    expect(equationsOf(aliasResiduals(graphOf(lines)))).toEqual(lines);
  });
});

describe("pack", () => {
  it("numbers planes in the order they are made, and sorts the weights of a row", () => {
    const graph = graphOf(["p9 = 2 p0[0,1] + 3 p0; p5 = 4 p0", "p7 = p5 + 8 p5 + 6 p9"]);
    expect(equationsOf(pack(graph))).toEqual(["p1 = 3 p0 + 2 p0[0,1]; p2 = 4 p0", "p3 = p2 + 6 p1 + 8 p2"]);
  });
});

describe("roundToFloat32", () => {
  it("rounds once, with scales in the weights but where steps share these", () => {
    const lines = ["p1 = 0.1 + 3 × 0.5 p0", "p2 = 3 × 0.5 p1", "p3 = max(p1 + 0.1, 0) + 0.1 × 0.5 p2"];
    const rounded = roundToFloat32(graphOf(lines, { tensors: [0, 1, 1] }));
    expect(equationsOf(rounded)).toEqual([
      "p1 = 0.10000000149011612 + 1.5 p0",
      "p2 = 3 × 0.5 p1",
      "p3 = max(p1 + 0.10000000149011612, 0) + 0.10000000149011612 × 0.5 p2",
    ]);
    expect(rounded.steps.map((step) => step.op === "convolution" && step.tensor)).toEqual([null, 1, 1]);
  });
});
