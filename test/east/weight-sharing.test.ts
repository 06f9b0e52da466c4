import { afterEach, describe, expect, it } from "vitest";
import { fullSize, SharedConv2d, shareWeights } from "../../src/east/index.js";
import { buildModel, type ResNet } from "../../src/models/index.js";
import { Conv2d, Initializer, type Module } from "../../src/nn/index.js";
import { add, sum } from "../../src/ops/index.js";
import { prunable } from "../../src/sparse/index.js";
import { backward, scope, Tensor, Topology } from "../../src/tensor/index.js";

const network = (name: string, classes = 10) => buildModel(name, { classes, init: new Initializer(1) }) as ResNet;
const owned = (model: Module) => prunable(model.parameters()).reduce((total, { size }) => total + size, 0);

describe("weight sharing", () => {
  it.each([
    ["resnet34", 10, 21_265_088, 11_164_352],
    ["resnet50", 10, 23_467_712, 13_928_128],
    ["resnet34", 100, 21_311_168, 11_210_432],
    ["resnet50", 100, 23_652_032, 14_112_448],
  ] as const)("leaves %s for %d classes, with %d weights, %d of its own", (name, classes, full, own) => {
    const model = network(name, classes);
    expect([fullSize(model), owned(model)]).toEqual([full, full]);
    shareWeights(model);
    expect([fullSize(model), owned(model)]).toEqual([full, own]);
  });

  it("makes every block after the second of its stage use the convolutions of the second", () => {
    const model = network("resnet50");
    shareWeights(model);
    const shared = [...model.modules()].flatMap(([name, module]) => (module instanceof SharedConv2d ? [name] : []));
    const blocks = ["layer1.2", "layer2.2", "layer2.3", "layer3.2", "layer3.3", "layer3.4", "layer3.5", "layer4.2"];
    expect(shared).toEqual(blocks.flatMap((block) => ["conv1", "conv2", "conv3"].map((conv) => `${block}.${conv}`)));
    for (const name of shared) {
      const [layer, , conv] = name.split(".");
      const { source } = model.modules().get(name) as SharedConv2d;
      expect(source, name).toBe(model.modules().get(`${layer}.1.${conv}`));
    }
    // BatchNorm stays every block's own.
    expect(model.namedParameters().has("layer3.5.norm3.weight")).toBe(true);
    expect(model.namedParameters().has("layer3.5.conv3.weight")).toBe(false);
  });

  it("with a ratio of 3 starts one block later", () => {
    const model = network("resnet34");
    shareWeights(model, { ratio: 3 });
    const shared = [...model.modules()].flatMap(([name, module]) => (module instanceof SharedConv2d ? [name] : []));
    expect(shared.map((name) => name.slice(0, 8))).toEqual(
      ["layer2.3", "layer3.3", "layer3.4", "layer3.5"].flatMap((block) => [block, block]),
    );
    expect(() => shareWeights(network("resnet34"), { ratio: 1 })).toThrow(
      "weight sharing: expected at least 2 blocks per stage with weights of their own, got 1",
    );
  });

  it("gives every use a scale of its own, trained, dense and drawn from (0, 1) by the seed", () => {
    const scales = (seed: number) => {
      const model = network("resnet34");
      shareWeights(model, { seed });
      const found = [...model.modules().values()].filter((module) => module instanceof SharedConv2d);
      const values = found.map(({ scale }) => scale.leaf.item());
      expect(found.every(({ scale }) => !scale.prunable && scale.leaf.requiresGradient)).toBe(true);
      model.dispose();
      return values;
    };
    const values = scales(1);
    expect(values.length).toBe(16);
    expect(new Set(values).size).toBe(16);
    for (const value of values) expect(value > 0 && value < 1).toBe(true);
    expect(scales(1)).toEqual(values);
    expect(scales(2)).not.toEqual(values);
  });

  it("draws the weights that stay as the whole network would", () => {
    const [whole, shared] = [network("resnet20"), network("resnet20")];
    shareWeights(shared);
    const all = whole.namedParameters();
    for (const [name, parameter] of shared.namedParameters())
      if (parameter.prunable) expect(parameter.leaf.dataSync(), name).toEqual(all.get(name)?.leaf.dataSync());
    whole.dispose();
    shared.dispose();
  });
});

describe("the gradient of a weight used at scales 1, 1/2 and 1/4", () => {
  const source = new Conv2d(2, 2, { kernel: 1 });
  const half = new SharedConv2d(source, () => Float32Array.of(0.5));
  const quarter = new SharedConv2d(source, () => Float32Array.of(0.25));
  const parameters = [source.weight, half.scale, quarter.scale];
  afterEach(() => {
    for (const parameter of parameters) parameter.clearGradient();
  });

  /** Sums all outputs of the three uses on pixels (1, 2), (3, 5) and (7, 11). */
  function run(): number {
    return scope(() => {
      const pixel = (...values: number[]) => Tensor.from(values, [2, 1, 1, 1]);
      const outputs = [source.forward(pixel(1, 2)), half.forward(pixel(3, 5)), quarter.forward(pixel(7, 11))];
      const loss = sum(outputs.reduce((a, b) => add(a, b)));
      backward(loss);
      return loss.item();
    });
  }
  const gradients = () => parameters.map(({ leaf }) => [...(leaf.gradient?.dataSync() ?? [])]);
  // Of each output: (1, 2) + (3, 5)/2 + (7, 11)/4 per input.
  const [first, second] = [1 + 1.5 + 1.75, 2 + 2.5 + 2.75];

  it("is the sum of scale times gradient over the uses; a scale's is the weight times its use's gradient", () => {
    source.weight.write([1, 2, 3, 4]);
    // Weights (1, 2; 3, 4) have column sums 4 and 6: the uses give 16, 42/2 and 94/4.
    expect(run()).toBe(16 + 21 + 23.5);
    expect(gradients()).toEqual([[first, second, first, second], [4 * 3 + 6 * 5], [4 * 7 + 6 * 11]]);
  });

  it("is the same for a sparse weight at its entries, and its dense gradient covers the missing ones", () => {
    source.weight.replace(new Topology([2, 2, 1, 1], Int32Array.of(0, 3)), Float32Array.of(2, -1));
    source.weight.denseGradient.wanted = true;
    expect(run()).toBe(2 * 1 - 2 + (2 * 3 - 5) / 2 + (2 * 7 - 11) / 4);
    expect(gradients()).toEqual([[first, second], [2 * 3 - 5], [2 * 7 - 11]]);
    expect([...(source.weight.denseGradient.tensor?.dataSync() ?? [])]).toEqual([first, second, first, second]);
    source.weight.denseGradient.clear();
    for (const parameter of parameters) parameter.dispose();
  });
});
