import type { ImageDataset } from "../data/index.js";
import { expected } from "../errors.js";
import { buildModel, type LayerFactory, ResNet } from "../models/index.js";
import { DctConv2d, DctLinear, Initializer, type Module } from "../nn/index.js";
import { Adam, type Schedule, SGD } from "../optim/index.js";
import { constant, cosine, stepDecay } from "../optim/schedule.js";
import {
  distributions,
  ensureLive,
  growingBy,
  type MethodName,
  methods,
  prunable,
  type SparseMethod,
  SparseTraining,
} from "../sparse/index.js";
import type { Callback, CheckpointContent, FitOptions, JsonObject } from "../train/index.js";
import { restoreRun } from "../train/index.js";
import { resolveConfig, type TrainConfig, type TrainConfigInput } from "./config.js";
import { cyclicSparsity } from "./cyclic-sparsity.js";
import { DyReluPhasing } from "./dyrelu-phasing.js";
import { fullSize, shareWeights } from "./weight-sharing.js";

/** What a network must know of its images. */
export interface ImageFormat {
  readonly classes: readonly string[];
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** A network and everything that trains it. */
export interface Recipe {
  readonly config: TrainConfig;
  readonly model: Module;
  readonly method: SparseMethod;
  /** Prunable weights that sparsity refers to. */
  readonly fullSize: number;
  readonly callbacks: readonly Callback[];
  readonly fit: FitOptions;
}

/** Builds network, method, optimizer and schedules from a configuration, for runs of `trainImages` images per epoch. */
export function prepare(input: TrainConfigInput, images: ImageFormat, trainImages: number): Recipe {
  const config = resolveConfig(input);
  const { epochs, batch, seed, clip, clipNorm, labelSmoothing, storage } = config;
  const steps = epochs * Math.ceil(trainImages / batch);
  const phasing = config.dyrelu
    ? new DyReluPhasing({
        start: config.dyreluStart,
        end: config.dyreluEnd,
        blend: config.dyreluBlend,
        reduction: config.dyreluReduction,
        seed,
      })
    : null;
  const model = buildModel(config.model, {
    classes: images.classes.length,
    channels: images.shape[0],
    classifierBias: config.classifierBias,
    init: new Initializer(seed),
    ...(phasing && { activation: phasing.activation }),
    ...(config.method.startsWith("dctps") && { layers: cosineLayers }),
  });
  if (config.shareRatio > 0) {
    if (!(model instanceof ResNet)) throw expected("weight sharing", "a residual network", config.model);
    if (config.method.startsWith("dctps"))
      throw expected(
        "weight sharing",
        "a method other than DCTpS",
        config.method,
        "use --share-ratio 0",
        "EASTING_CONFIG",
      );
    shareWeights(model, { ratio: config.shareRatio, seed });
  }
  const total = fullSize(model);
  const owned = prunable(model.parameters()).reduce((sum, { size }) => sum + size, 0);
  // The stored weights make up the whole network's budget: with sharing each tensor is denser (paper, eq. for s).
  const density = config.method === "dense" ? 1 : Math.min(1, ((1 - config.sparsity / 100) * total) / owned);
  const method = sparseMethod(config, density, steps);
  const callbacks = [
    ...(phasing ? [phasing] : []),
    new SparseTraining(method, { seed, density, fullSize: total, liveChannels: config.liveChannels }),
  ];
  const optimizer = config.optimizer === "sgd" ? new SGD(config) : new Adam(config);
  const schedule = learningRate(config, steps);
  const description = { config, images } as unknown as JsonObject;
  return {
    config,
    model,
    method,
    fullSize: total,
    callbacks,
    fit: {
      epochs,
      batch,
      seed,
      optimizer,
      learningRate: (step) => method.learningRate?.(step + 1, schedule(step)) ?? schedule(step),
      labelSmoothing,
      storage,
      clip: { mode: clip, maximum: clipNorm },
      callbacks,
      description,
    },
  };
}

/** DCTpS: every convolution and the classifier, which has a bias there. */
const cosineLayers: LayerFactory = {
  convolution: (inputs, outputs, options) => new DctConv2d(inputs, outputs, options),
  linear: (inputs, outputs) => new DctLinear(inputs, outputs),
};

function learningRate({ learningRate: initial, schedule }: TrainConfig, steps: number): Schedule {
  if (schedule === "constant") return constant(initial);
  if (schedule === "cosine") return cosine({ from: initial, to: 0, steps });
  const milestones = [125 / 250, 187 / 250].map((share) => Math.round(share * steps));
  return stepDecay({
    initial,
    factor: 0.1,
    milestones: milestones.filter((step, i) => milestones.indexOf(step) === i),
  });
}

function sparseMethod(config: TrainConfig, density: number, steps: number): SparseMethod {
  const { method, growth, updateEvery: interval, dropFraction, updateUntil: until, weightDecay } = config;
  const name = (method.startsWith("dctps") ? "rigl-original" : method === "east" ? "rigl" : method) as MethodName;
  const distribution = config.distribution && distributions[config.distribution];
  const plain = methods[name]({ density, steps, distribution, interval, dropFraction, until, weightDecay });
  if (distribution && plain.distribution !== distribution)
    throw expected(
      "distribution",
      "a method that begins at random",
      method,
      "leave --distribution out",
      "EASTING_CONFIG",
    );
  const inner = growth ? growingBy(plain, growth) : plain;
  const cyclic =
    config.cycles === 0
      ? inner
      : cyclicSparsity(inner, {
          density,
          steps,
          cycles: config.cycles,
          length: config.cycleLength,
          multiplier: config.cycleMultiplier,
          peak: config.cyclePeak,
          pattern: config.cyclePattern,
          ...(config.cycleUpdateEvery && { interval: config.cycleUpdateEvery }),
        });
  return config.ensureLive ? ensureLive(cyclic) : cyclic;
}

export const imageFormat = ({ classes, shape, mean, std }: ImageDataset): ImageFormat => ({
  classes,
  shape,
  mean,
  std,
});

/** The network in a checkpoint, as it was at that step, and what it was trained on and by. */
export function openNetwork(
  content: CheckpointContent,
): Recipe & { readonly images: ImageFormat; readonly step: number } {
  const { config, images, progress } = content.header as unknown as {
    config: TrainConfigInput;
    images: ImageFormat;
    progress: { step: number };
  };
  if (!config || !images) throw expected("checkpoint", "one written by easting train", "one without its configuration");
  const recipe = prepare(config, images, 1);
  restoreRun(recipe.model, recipe.fit.optimizer, recipe.callbacks, content);
  return { ...recipe, images, step: progress.step };
}
