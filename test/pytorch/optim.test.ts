import { describe, it } from "vitest";
import { constant, Parameter } from "../../src/nn/index.js";
import { Adam, type Optimizer, SGD } from "../../src/optim/index.js";
import { Tensor } from "../../src/tensor/index.js";
import { expectClose } from "../numbers.js";
import { fixture } from "./fixture.js";

interface Options {
  readonly lr: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weight_decay: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
}

const rules: Readonly<Record<string, (options: Options) => Optimizer>> = {
  sgd: ({ momentum, nesterov, weight_decay: weightDecay }) => new SGD({ momentum, nesterov, weightDecay }),
  adam: ({ betas: [beta1, beta2], eps: epsilon, weight_decay: weightDecay }) =>
    new Adam({ beta1, beta2, epsilon, weightDecay }),
};

describe("optimizers", () => {
  it.each(Object.keys(fixture.optimizer.cases))("%s takes PyTorch's three steps", (name) => {
    const { initial, gradients, cases } = fixture.optimizer;
    const { rule, options, parameters } = cases[name];
    const optimizer = rules[rule](options);
    const parameter = new Parameter([initial.length], constant(0));
    parameter.write(initial);
    for (const [s, gradient] of gradients.entries()) {
      parameter.clearGradient();
      parameter.leaf.gradient = Tensor.from(gradient, [gradient.length]).keep();
      optimizer.step([parameter], { step: s + 1, learningRate: options.lr, gradientScale: null });
      expectClose(parameter.leaf.dataSync(), parameters[s], { relative: 1e-6 }, `parameters after step ${s + 1}`);
    }
    optimizer.dispose();
    parameter.dispose();
  });
});
