import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compile, interpret, logitsOf, passes, trace } from "../../src/compile/index.js";
import { buildModel, type ResNet } from "../../src/models/index.js";
import { DyReLU, type Module } from "../../src/nn/index.js";
import { livenessOf, nnzOf, prunable } from "../../src/sparse/index.js";
import { Topology } from "../../src/tensor/index.js";
import { expectClose } from "../numbers.js";
import { classNames, evaluated, imageInput, networks, randomNetwork } from "./networks.js";

/** Every pass leaves the logits as the model has them. */
function checkAllPasses(model: Module, side: number): void {
  const { image, logits } = evaluated(model, side);
  let graph = trace(model, imageInput(side), classNames(10));
  expectClose(interpret(graph, image), logits, { relative: 1e-5 }, "logits of the traced network");
  for (const { name, pass } of passes) {
    graph = pass(graph);
    expectClose(interpret(graph, image), logits, { relative: 1e-5 }, `logits after: ${name}`);
  }
}

const empty = (model: ResNet, name: string) => {
  const parameter = model.namedParameters().get(name);
  if (!parameter) throw new Error(`no ${name}`);
  parameter.replace(new Topology(parameter.shape, new Int32Array(0)), new Float32Array(0));
};

describe("a compiled network gives the logits of the trained one, after every pass,", () => {
  it.each(networks)("with %s", (_, spec) => {
    const model = randomNetwork(spec);
    checkAllPasses(model, spec.side);
    model.dispose();
  });

  it.each([
    ["an empty stem", ["conv1.weight"]],
    ["an empty layer in a branch", ["layer2.1.conv2.weight"]],
    ["an empty shortcut", ["layer2.0.shortcut.conv.weight"]],
    ["an empty block", ["layer3.0.conv2.weight", "layer3.0.shortcut.conv.weight"]],
    ["an empty classifier", ["fc.weight"]],
  ])("with %s", (_, names) => {
    const model = randomNetwork({ model: "resnet20", mask: "random", density: 0.01, side: 16, seed: 9 });
    for (const name of names) empty(model, name);
    checkAllPasses(model, 16);
    model.dispose();
  });

  it("with random small networks and masks", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("resnet20", "resnet18", "resnet18-imagenet"),
        fc.constantFrom("random" as const, "live" as const),
        fc.integer({ min: 60, max: 1500 }),
        fc.boolean(),
        fc.nat(1e6),
        (name, mask, count, share, seed) => {
          const side = name === "resnet18-imagenet" ? 32 : 8;
          const model = randomNetwork({ model: name, mask, count, share: share && name === "resnet20", side, seed });
          checkAllPasses(model, side);
          model.dispose();
        },
      ),
      { numRuns: 30, seed: 1 },
    );
  });

  it("with dense weights", () => {
    const model = buildModel("resnet20", { classes: 10 });
    checkAllPasses(model, 8);
    model.dispose();
  });
});

describe("a compiled network", () => {
  it("whose logits no image changes is its classifier's biases alone", () => {
    const model = randomNetwork({ model: "resnet20", mask: "random", density: 0.01, side: 16, seed: 9 });
    empty(model, "conv1.weight");
    const { graph } = compile(model, imageInput(16), classNames(10));
    expect(graph.steps).toHaveLength(1);
    const { rows, weights } = logitsOf(graph);
    expect(weights).toHaveLength(0);
    expectClose(
      rows.map(({ bias }) => bias as number),
      evaluated(model, 16).logits,
      { relative: 1e-5 },
    );
    model.dispose();
  });

  it("keeps every weight that is on a path from image to logit, and no other", () => {
    for (const spec of [networks[0][1], networks[1][1], networks[3][1], networks[7][1]]) {
      const model = randomNetwork(spec);
      const { liveWeights } = livenessOf(model, [3, spec.side, spec.side]);
      if (spec.mask === "live") expect(liveWeights).toBe(nnzOf(prunable(model.parameters())));
      const { report } = compile(model, imageInput(spec.side), classNames(10));
      expect(report.at(-1)?.weights).toBe(liveWeights);
      model.dispose();
    }
  });

  it("is refused while DyReLU mixes its channels", () => {
    const phase = { beta: 0.5, blend: "coefficients" as const };
    const model = buildModel("resnet20", { classes: 10, activation: (c) => new DyReLU(c, { phase }) });
    expect(() => compile(model, imageInput(8), classNames(10))).toThrow(
      "compile: expected plain ReLUs, got DyReLU, which mixes all channels; train past the end of DyReLU's phasing, or take a later checkpoint",
    );
    phase.beta = 0;
    checkAllPasses(model, 8);
    model.dispose();
  });

  it("is refused with another number of classes than logits", () => {
    const model = buildModel("resnet20", { classes: 10 });
    expect(() => compile(model, imageInput(8), classNames(5))).toThrow(
      "compile: expected logits of shape [5, 1], got shape [10, 1]",
    );
    model.dispose();
  });
});
