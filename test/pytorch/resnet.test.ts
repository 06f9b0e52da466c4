import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { models } from "../../src/models/index.js";
import { native } from "../../src/native.js";
import { BatchNorm2d, type Parameter } from "../../src/nn/index.js";
import { crossEntropy } from "../../src/ops/index.js";
import { backward, resolveDevice, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { expectClose, hash32, hashAt, signed, uniform } from "../numbers.js";
import { activation, fixture, inOrder } from "./fixture.js";

const { density, parameters: described, f64: expected } = fixture.resnet34;

/** Gives parameter number `t` the values that the fixture's formula says: sparse weights, dense BatchNorm. */
function set(parameter: Parameter, t: number): void {
  const { shape } = parameter;
  const size = sizeOf(shape);
  if (shape.length === 1) {
    parameter.write(
      parameter.name.endsWith("weight") ? uniform(t, size).map((u) => 0.5 + u) : signed(t, size).map((v) => 0.2 * v),
    );
    return;
  }
  const indices: number[] = [];
  for (let f = 0; f < size; f++) if (hash32(hashAt(t, f) ^ 0xa5a5a5a5) % 1000 < 1000 * density) indices.push(f);
  const bound = 1 / Math.sqrt(size / shape[0]);
  const values = Float32Array.from(indices, (f) => ((2 * hashAt(t, f)) / 0x100000000 - 1) * bound);
  parameter.replace(new Topology(shape, Int32Array.from(indices)), values);
}

// Few values stand behind the norms of the last stage: another order of sums lets a ReLU at 0 fall to the other side,
// by which gradients move by some 1e-4. It does so without vector instructions, and on a GPU.
const { device } = resolveDevice();
const relative = device === "cuda" || native.devices().isa === "baseline" ? 1e-2 : 1e-4;

const norm = (values: ArrayLike<number>) => Math.sqrt(Array.from(values).reduce((a, v) => a + v * v, 0));

describe("ResNet-34 at density 0.05, one step", () => {
  const model = models.resnet34({ classes: 10 });
  const parameters = model.parameters();
  let loss = 0;
  let smoothed = 0;
  let logits: ArrayLike<number> = [];

  beforeAll(() => {
    for (const [t, parameter] of parameters.entries()) {
      set(parameter, t);
      parameter.denseGradient.wanted = parameter.sparse !== null;
    }
    scope(() => {
      const labels = Tensor.from([0, 1, 2, 3], [4], { dtype: "i32" });
      const output = model.forward(activation(fixture.resnet34.imageTensor, [4, 3, 32, 32], {}, 2));
      const mean = crossEntropy(output, labels);
      backward(mean);
      loss = mean.item();
      smoothed = crossEntropy(output, labels, { labelSmoothing: 0.1 }).item();
      logits = output.dataSync();
    });
  });
  afterAll(() => {
    for (const parameter of parameters) parameter.denseGradient.clear();
    model.dispose();
  });

  it("has PyTorch's parameters in PyTorch's order", () => {
    expect(parameters.map(({ shape, nnz }) => [shape, nnz])).toEqual(
      described.map(({ shape, kept }: { shape: number[]; kept: number }) => [shape, kept]),
    );
  });

  it("has PyTorch's loss and logits", () => {
    expectClose([loss, smoothed], [expected.loss, expected.lossSmoothed], { relative: 1e-5 });
    expectClose(logits, inOrder(expected.logits), { relative: 1e-4 });
  });

  it("has PyTorch's running statistics", () => {
    const norms = [...model.modules().values()].filter((module) => module instanceof BatchNorm2d);
    expect(norms.length).toBe(36);
    for (const [i, { runningMean, runningVariance }] of norms.entries()) {
      expectClose([norm(runningMean.dataSync())], [expected.runningMean2[i]], { relative: 1e-4 }, `mean of norm ${i}`);
      expectClose(
        [norm(runningVariance.dataSync())],
        [expected.runningVar2[i]],
        { relative: 1e-4 },
        `variance of norm ${i}`,
      );
    }
  });

  it("has PyTorch's gradients, of the weights that exist and of all others", () => {
    for (const [i, parameter] of parameters.entries()) {
      const { norm: active, denseNorm, samples } = expected.gradients[i];
      const gradient = (parameter.leaf.gradient as Tensor).dataSync();
      const what = `gradient of ${parameter.name}`;
      expectClose([norm(gradient)], [active], { relative }, `norm of the ${what}`);
      const dense = parameter.denseGradient.tensor?.dataSync() ?? gradient;
      expectClose([norm(dense)], [denseNorm], { relative }, `norm of the dense ${what}`);
      const indices = parameter.sparse?.topology.indices;
      for (const [f, value] of samples) {
        const at = indices ? indices.indexOf(f) : f;
        // Single entries are sums that cancel: measured against the typical entry.
        const typical = active / Math.sqrt(gradient.length);
        expectClose(
          [gradient[at], dense[f]],
          [value, value],
          { relative, absolute: relative * typical },
          `${what} at ${f}`,
        );
      }
    }
  });
});
