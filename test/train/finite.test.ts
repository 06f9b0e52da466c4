import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { imageFormat, prepare } from "../../src/east/index.js";
import type { Parameter } from "../../src/nn/index.js";
import { batchNorm, relu } from "../../src/ops/index.js";
import { scope, Tensor } from "../../src/tensor/index.js";
import { type Callback, fit, readCheckpoint, recordRun } from "../../src/train/index.js";
import { failure, fewDigits, sha256, temporaryFolders } from "./tiny.js";

const folder = temporaryFolders();
const data = fewDigits(48);
const config = { model: "resnet20", method: "rigl", sparsity: 90, epochs: 4, batch: 16, updateEvery: 4 } as const;

/** Trains 12 steps of ResNet-20 in a run folder and lets `disturb` at the weights when step 5 is done. */
async function train(disturb: (parameters: Map<string, Parameter>) => void, dataset = data, more: object = {}) {
  const recipe = prepare({ ...config, ...more }, imageFormat(dataset), dataset.train.count);
  const saboteur: Callback = {
    name: "saboteur",
    onStepEnd: ({ model }, step) => {
      if (step === 5) disturb(model.namedParameters());
    },
  };
  const run = folder();
  const steps: number[] = [];
  const receipt = { config: {}, data: { hash: "" } };
  const options = { ...recipe.fit, callbacks: [...recipe.callbacks, saboteur] };
  const training = async () => {
    for await (const event of recordRun(run, { receipt }, (hooks) =>
      fit(recipe.model, dataset, { ...options, ...hooks }),
    ))
      if (event.type === "step") steps.push(event.step);
  };
  const error = await failure(training());
  recipe.model.dispose();
  recipe.fit.optimizer.dispose();
  return { error, steps, run };
}

function poison(name: string, value: number, everywhere = false) {
  return (parameters: Map<string, Parameter>) => {
    const parameter = parameters.get(name) as Parameter;
    const values = parameter.leaf.dataSync();
    if (everywhere) values.fill(value);
    else values[0] = value;
    parameter.write(values);
  };
}

const message = (loss: string, where: string) =>
  `training: expected a finite loss at step 6, got ${loss}, first in ${where}; lower the learning rate or clip gradients`;

describe("training stops at the first step whose loss is not a number and names the layer", () => {
  it.each([
    "conv1.weight",
    "layer1.0.conv2.weight",
    "layer2.1.norm1.bias",
    "layer3.0.shortcut.conv.weight",
    "fc.weight",
  ])("when one entry of %s is NaN", async (name) => {
    const { error, steps } = await train(poison(name, Number.NaN));
    expect(error).toMatchObject({
      code: "EASTING_NOT_FINITE",
      message: message("NaN", `${name} (the weights themselves)`),
    });
    expect(steps).toEqual([1, 2, 3, 4, 5]);
  });

  it.each(["active", "dense"] as const)("with clipping of %s gradients", async (clip) => {
    const { error, steps } = await train(poison("layer2.1.conv1.weight", Number.NaN), data, { clip });
    expect(error.message).toBe(message("NaN", "layer2.1.conv1.weight (the weights themselves)"));
    expect(steps.length).toBe(5);
  });

  it("under DyReLU and weight sharing", async () => {
    const { error } = await train(poison("layer2.2.conv1.scale", Number.NaN), data, { method: "east" });
    expect(error.message).toBe(message("NaN", "layer2.2.conv1.scale (the weights themselves)"));
  });

  it("when finite weights give an infinite output", async () => {
    const { error, steps } = await train(poison("layer2.0.conv2.weight", 3e38, true));
    expect(error.message).toBe(message("NaN", "layer2.0.conv2 (output of sparseConv)"));
    expect(steps.length).toBe(5);
  });

  it("when the images are no numbers", async () => {
    const { error, steps } = await train(() => {}, { ...data, mean: [Number.NaN] });
    expect(error.message).toMatch(/at step 1, got NaN, first in the images;/);
    expect(steps).toEqual([]);
  });

  it("and leaves the last checkpoint as it was", async () => {
    const { run } = await train(poison("conv1.weight", Number.NaN));
    const other = await train(poison("fc.weight", Number.POSITIVE_INFINITY));
    const names = ["best.ckpt", "step-00000003.ckpt"];
    for (const at of [run, other.run]) expect(readdirSync(join(at, "checkpoints")).sort()).toEqual(names);
    const path = join(run, "checkpoints", names[1]);
    expect(sha256(path)).toBe(sha256(join(other.run, "checkpoints", names[1])));
    const { header, sections } = await readCheckpoint(path);
    expect(header.progress).toMatchObject({ step: 3 });
    for (const [name, numbers] of sections) expect(Array.from(numbers).every(Number.isFinite), name).toBe(true);
  });
});

describe("NaN", () => {
  it("passes a ReLU, alone or fused with BatchNorm, so that it reaches the loss", () => {
    scope(() => {
      const channel = (x: Tensor) => Array.from(x.dataSync()).slice(0, 21).map(Number.isNaN);
      const x = Tensor.from(new Float32Array(42).fill(1).fill(Number.NaN, 0, 21), [2, 3, 7, 1]);
      const all = new Array(21).fill(true);
      expect(channel(relu(x))).toEqual(all);
      for (const training of [true, false]) {
        const [weight, bias] = [Tensor.full([2], 1), Tensor.zeros([2])];
        const statistics = { runningMean: Tensor.zeros([2]), runningVariance: Tensor.full([2], 1), training };
        expect(channel(relu(batchNorm(x, weight, bias, statistics)))).toEqual(all);
      }
    });
  });
});
