import type { ImageInput } from "../../src/compile/index.js";
import { SharedConv2d, shareWeights } from "../../src/east/index.js";
import { buildModel, type ResNet } from "../../src/models/index.js";
import { BatchNorm2d, Conv2d, type Linear, type Module, type Parameter } from "../../src/nn/index.js";
import { erdosRenyiKernel, prunable } from "../../src/sparse/index.js";
import { sample, scope, Tensor, Topology } from "../../src/tensor/index.js";
import { hash32, uniform } from "../numbers.js";

export interface NetworkSpec {
  readonly model: string;
  /** Weights over all layers, or a share of those stored. */
  readonly count?: number;
  readonly density?: number;
  /** `random` by ERK; `live`: every weight on a path from image to logit. */
  readonly mask: "random" | "live";
  readonly share?: boolean;
  readonly side: number;
  readonly classes?: number;
  readonly seed: number;
}

/** One of each kind that compiles differently. */
export const networks: readonly (readonly [string, NetworkSpec])[] = [
  ["a random mask", { model: "resnet20", mask: "random", density: 0.004, side: 16, seed: 1 }],
  ["a mask of live weights", { model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 }],
  ["few live weights in a deep network", { model: "resnet56", mask: "live", count: 300, side: 16, seed: 3 }],
  ["bottleneck blocks", { model: "resnet50", mask: "live", count: 3000, side: 32, seed: 4 }],
  ["shared weights", { model: "resnet34", mask: "live", count: 2000, share: true, side: 32, seed: 5 }],
  ["shared weights at random", { model: "resnet50", mask: "random", density: 0.001, share: true, side: 32, seed: 6 }],
  ["the ImageNet stem", { model: "resnet18-imagenet", mask: "live", count: 2000, side: 64, seed: 7 }],
  ["the ImageNet stem at random", { model: "resnet18-imagenet", mask: "random", density: 0.0005, side: 64, seed: 8 }],
];

/** A network with random weights, masks and BatchNorm statistics, as if trained. */
export function randomNetwork({ model: name, share = false, classes = 10, seed, ...spec }: NetworkSpec): ResNet {
  const model = buildModel(name, { classes }) as ResNet;
  if (share) shareWeights(model, { ratio: 2, seed });
  const weights = prunable(model.parameters());
  const stored = weights.reduce((sum, { size }) => sum + size, 0);
  const count = spec.count ?? Math.floor((spec.density as number) * stored);
  const masks = spec.mask === "live" ? liveMasks(model, count, seed) : randomMasks(weights, count / stored, seed);
  for (const [parameter, indices] of masks) parameter.makeSparse(new Topology(parameter.shape, indices));
  randomizeStatistics(model, seed);
  return model;
}

/** BatchNorm with scales in [0.5, 1.5], shifts and means in ±0.5, variances in [0.5, 1.5]. */
export function randomizeStatistics(model: Module, seed: number): void {
  let next = 1000 * (seed + 1);
  for (const module of model.modules().values()) {
    if (!(module instanceof BatchNorm2d)) continue;
    const numbers = () => uniform(next++, module.weight.size);
    module.weight.write(numbers().map((u) => 0.5 + u));
    module.bias.write(numbers().map((u) => u - 0.5));
    module.runningMean.write(numbers().map((u) => u - 0.5));
    module.runningVariance.write(numbers().map((u) => 0.5 + u));
  }
}

function randomMasks(weights: readonly Parameter[], density: number, seed: number): Map<Parameter, Int32Array> {
  const counts = erdosRenyiKernel(weights, density);
  return new Map(
    weights.map((parameter, stream) => [
      parameter,
      sample({ seed, purpose: "test", stream }, parameter.size, counts[stream]),
    ]),
  );
}

/** One use of a weight, with the channels that paths go through. */
interface Use {
  readonly weight: Parameter;
  readonly inputs: Set<number>;
  readonly outputs: Set<number>;
}

/**
 * Masks of exactly `count` weights, each on a path from image to logit: half the weights are drawn as whole paths, through
 * branch or shortcut of each block, the others join channels that paths go through, more of them in larger layers.
 */
export function liveMasks(model: ResNet, count: number, seed: number): Map<Parameter, Int32Array> {
  let draws = hash32(seed);
  const below = (bound: number) => {
    draws = hash32(draws + 0x9e3779b9);
    return Math.floor((draws / 0x100000000) * bound);
  };
  const useOf = (module: Module | Parameter): Use => ({
    weight:
      module instanceof SharedConv2d
        ? module.source.weight
        : module instanceof Conv2d
          ? module.weight
          : (module as Parameter),
    inputs: new Set(),
    outputs: new Set(),
  });
  const blocks = model.stages.flat().map((block) => ({
    branch: ["conv1", "conv2", "conv3"].flatMap((name) => {
      const conv = (block as unknown as Record<string, Module | undefined>)[name];
      return conv ? [useOf(conv)] : [];
    }),
    shortcut: block.shortcut ? [useOf((block.shortcut as unknown as { conv: Conv2d }).conv)] : [],
  }));
  const [stem, head] = [useOf(model.conv1), useOf((model.fc as Linear).weight)];
  const uses = [stem, ...blocks.flatMap(({ branch, shortcut }) => [...branch, ...shortcut]), head];
  const masks = new Map<Parameter, Set<number>>(prunable(model.parameters()).map((weight) => [weight, new Set()]));
  const total = () => [...masks.values()].reduce((sum, { size }) => sum + size, 0);
  const join = (use: Use, input: number, output: number): number => {
    const [, inputs, kh = 1, kw = 1] = use.weight.shape;
    masks.get(use.weight)?.add((output * inputs + input) * kh * kw + below(kh * kw));
    use.inputs.add(input);
    use.outputs.add(output);
    return output;
  };
  const follow = (path: readonly Use[], from: number) =>
    path.reduce((channel, use) => join(use, channel, below(use.weight.shape[0])), from);
  const longest = uses.length;
  while (total() + longest <= count && total() < count / 2) {
    let channel = follow([stem], below(stem.weight.shape[1]));
    for (const { branch, shortcut } of blocks)
      if (below(2) === 0) channel = follow(branch, channel);
      else channel = follow(shortcut, channel);
    follow([head], channel);
  }
  const joined = uses.filter(({ inputs }) => inputs.size > 0);
  const sides = joined.map(({ weight }) => weight.shape.reduce((sum, extent) => sum + extent, 0));
  const ends = sides.map((_, i) => sides.slice(0, i + 1).reduce((sum, side) => sum + side, 0));
  while (total() < count) {
    const at = below(ends.at(-1) as number);
    const use = joined[ends.findIndex((end) => at < end)];
    const one = (channels: Set<number>) => [...channels][below(channels.size)];
    join(use, one(use.inputs), one(use.outputs));
  }
  return new Map([...masks].map(([weight, indices]) => [weight, Int32Array.from(indices).sort()]));
}

export const imageInput = (side: number): ImageInput => ({
  shape: [3, side, side],
  mean: [0.5, 0.5, 0.5],
  std: [0.25, 0.25, 0.25],
});

/** A normalised random image, and what the model makes of it in evaluation mode. */
export function evaluated(model: Module, side: number, seed = 1): { image: Float32Array; logits: Float32Array } {
  const image = Float32Array.from(uniform(seed, 3 * side * side), (u) => 4 * u - 2);
  model.eval();
  const logits = scope(() => model.forward(Tensor.from(image, [3, side, side, 1])).dataSync() as Float32Array);
  return { image, logits };
}

export const classNames = (count: number): string[] => Array.from({ length: count }, (_, i) => `class ${i}`);
