import { afterEach, expect, it, vi } from "vitest";
import { buildModel } from "../../src/models/index.js";
import { native } from "../../src/native.js";
import { crossEntropy } from "../../src/ops/index.js";
import { erdosRenyiKernel, prunable, randomTopology } from "../../src/sparse/index.js";
import { backward, defaultDevice, scope, Tensor } from "../../src/tensor/index.js";

afterEach(() => {
  vi.restoreAllMocks();
});

it("a training step of ResNet-20 passes over activations inside convolutions: nearly no BatchNorm runs on its own", () => {
  const model = buildModel("resnet20", { classes: 10 });
  const parameters = prunable(model.parameters());
  const topologies = randomTopology(erdosRenyiKernel)(parameters, 0.005, 1);
  for (const [i, topology] of topologies.entries()) parameters[i].makeSparse(topology);
  const calls = new Map<string, number>();
  const kernels = native.kernels[defaultDevice]?.f32 as unknown as Record<string, (...list: unknown[]) => void>;
  for (const [name, kernel] of Object.entries(kernels))
    vi.spyOn(kernels, name).mockImplementation((...list) => {
      calls.set(name, (calls.get(name) ?? 0) + 1);
      kernel(...list);
    });
  scope(() => {
    const images = Tensor.zeros([3, 32, 32, 2]);
    const labels = Tensor.from([0, 1], [2], { dtype: "i32" });
    backward(crossEntropy(model.forward(images), labels));
  });
  model.dispose();
  // The stem, nine blocks of two convolutions, two projections and the classifier.
  expect(calls.get("sparse_conv_forward")).toBe(1 + 9 * 2 + 2 + 1);
  expect(calls.get("batch_norm_forward") ?? 0).toBe(0);
  // The activation inside a block is never stored: its second convolution normalises on load.
  expect(calls.get("sparse_conv_backward_normalized")).toBe(9);
  expect(calls.get("sparse_conv_backward")).toBe(1 + 9 + 2 + 1);
  // The two projections, whose output goes into a sum, and the last block, behind which no convolution comes.
  expect(calls.get("batch_norm_backward")).toBe(2 + 1);
  for (const name of ["add", "copy", "relu_forward", "relu_backward"])
    expect([name, calls.get(name) ?? 0]).toEqual([name, 0]);
});
