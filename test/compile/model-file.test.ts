import { describe, expect, it } from "vitest";
import { compile, costOf, decodeModel, encodeModel, interpret } from "../../src/compile/index.js";
import { classNames, evaluated, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";

const small: NetworkSpec = { model: "resnet20", mask: "live", count: 300, side: 8, seed: 1 };

function compiled(spec: NetworkSpec) {
  const model = randomNetwork(spec);
  const { image } = evaluated(model, spec.side);
  const { graph } = compile(model, imageInput(spec.side), classNames(10));
  model.dispose();
  return { graph, image };
}

describe("a model file", () => {
  it.each([
    ["with weights of its own", small],
    ["with shared weights", { ...small, model: "resnet34", count: 1500, share: true }],
    [
      "with bands of biases",
      { ...small, model: "resnet50", mask: "random", count: undefined, density: 0.001, share: true },
    ],
    ["with a max-pool", { ...small, model: "resnet18-imagenet", side: 64, count: 1000 }],
  ] as const)("%s gives the same logits, bit by bit", (_, spec) => {
    const { graph, image } = compiled(spec as NetworkSpec);
    const file = encodeModel(graph);
    const read = decodeModel(file);
    console.log(costOf(graph), file.length, encodeModel(graph, { values: "f16" }).length, encodeModel(read).length);
    expect(interpret(read, image)).toEqual(interpret(graph, image));
    expect(costOf(read)).toEqual(costOf(graph));
  });
  it("R50", () => {
    for (const share of [false, true]) {
      const { graph } = compiled({ model: "resnet50", mask: "live", count: 11734, share, side: 32, seed: 3 });
      const file = encodeModel(graph);
      const view = new DataView(file.buffer);
      console.log(
        share,
        costOf(graph),
        file.length,
        [16, 20, 24, 28].map((a) => view.getUint32(a, true)),
      );
    }
  });
});
