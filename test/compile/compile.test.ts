import { describe, expect, it } from "vitest";
import { compile, interpret, passes, trace } from "../../src/compile/index.js";
import { livenessOf } from "../../src/sparse/index.js";
import { expectClose } from "../numbers.js";
import { classNames, evaluated, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";

const networks: readonly (readonly [string, NetworkSpec])[] = [
  ["a random mask", { model: "resnet20", mask: "random", density: 0.02, side: 16, seed: 1 }],
  ["a mask of live weights", { model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 }],
  ["few live weights in a deep network", { model: "resnet56", mask: "live", count: 300, side: 16, seed: 3 }],
  ["bottleneck blocks", { model: "resnet50", mask: "live", count: 3000, side: 32, seed: 4 }],
  ["shared weights", { model: "resnet34", mask: "live", count: 2000, share: true, side: 32, seed: 5 }],
  ["shared weights at random", { model: "resnet50", mask: "random", density: 0.001, share: true, side: 32, seed: 6 }],
  ["the ImageNet stem", { model: "resnet18-imagenet", mask: "live", count: 2000, side: 64, seed: 7 }],
  ["the ImageNet stem at random", { model: "resnet18-imagenet", mask: "random", density: 0.0005, side: 64, seed: 8 }],
];

describe("a compiled network gives the logits of the trained one", () => {
  it.each(networks)("with %s, after every pass", (_, spec) => {
    const model = randomNetwork(spec);
    const { image, logits } = evaluated(model, spec.side);
    let graph = trace(model, imageInput(spec.side), classNames(10));
    expectClose(interpret(graph, image), logits, { relative: 1e-5 }, "traced");
    for (const { name, pass } of passes) {
      graph = pass(graph);
      expectClose(interpret(graph, image), logits, { relative: 1e-5 }, name);
    }
    console.log(
      _,
      livenessOf(model, [3, spec.side, spec.side]).liveWeights,
      model
        .parameters()
        .filter((p) => p.prunable)
        .reduce((s, p) => s + p.nnz, 0),
    );
    console.table(compile(model, imageInput(spec.side), classNames(10)).report);
    expect(1).toBe(1);
    model.dispose();
  });
});
