import { describe, expect, it } from "vitest";
import { constant, Parameter } from "../../src/nn/index.js";
import { Adam } from "../../src/optim/index.js";
import { Tensor } from "../../src/tensor/index.js";
import { expectClose, signed } from "../numbers.js";

const size = 1000;

describe("Adam", () => {
  it.each([{}, { weightDecay: 0.01 }, { beta1: 0.5, beta2: 0.9, epsilon: 1e-3 }])(
    "follows its formula over five steps: %j",
    (options) => {
      const { beta1, beta2, epsilon, weightDecay } = {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0,
        ...options,
      };
      const optimizer = new Adam(options);
      const parameter = new Parameter([size], constant(0));
      const w = signed(1, size);
      parameter.write(w);
      const [m, v] = [new Float64Array(size), new Float64Array(size)];
      for (let step = 1; step <= 5; step++) {
        const gradient = signed(step + 1, size);
        parameter.clearGradient();
        parameter.leaf.gradient = Tensor.from(gradient, [size]).keep();
        optimizer.step([parameter], { step, learningRate: 0.01, gradientScale: null });
        for (let i = 0; i < size; i++) {
          const g = gradient[i] + weightDecay * w[i];
          m[i] = beta1 * m[i] + (1 - beta1) * g;
          v[i] = beta2 * v[i] + (1 - beta2) * g * g;
          const [first, second] = [m[i] / (1 - beta1 ** step), v[i] / (1 - beta2 ** step)];
          w[i] -= (0.01 * first) / (Math.sqrt(second) + epsilon);
        }
      }
      expectClose(parameter.leaf.dataSync(), w, { relative: 1e-5 });
      optimizer.dispose();
      parameter.dispose();
    },
  );

  it("moves by the learning rate at first, whatever the size of the gradient", () => {
    const optimizer = new Adam();
    const parameter = new Parameter([3], constant(1));
    parameter.leaf.gradient = Tensor.from([1e-3, -50, 7], [3]).keep();
    optimizer.step([parameter], { step: 1, learningRate: 0.1, gradientScale: null });
    expectClose(parameter.leaf.dataSync(), [0.9, 1.1, 0.9], { relative: 1e-4 });
    expect([...optimizer.state().keys()]).toEqual(["first/", "second/"]);
    optimizer.dispose();
    parameter.dispose();
  });

  it("multiplies gradients by the clipping factor", () => {
    const optimizer = new Adam();
    const parameter = new Parameter([1], constant(1));
    parameter.leaf.gradient = Tensor.from([8], [1]).keep();
    const gradientScale = Tensor.from([0.25], [1]);
    optimizer.step([parameter], { step: 1, learningRate: 0.1, gradientScale });
    expect((optimizer.state().get("first/") as Tensor).item()).toBeCloseTo(0.2, 6);
    gradientScale.dispose();
    optimizer.dispose();
    parameter.dispose();
  });
});
