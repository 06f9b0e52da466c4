import type { Batch } from "../../data/index.js";
import type { Parameter } from "../../nn/index.js";
import { crossEntropy } from "../../ops/index.js";
import { clipFactor } from "../../optim/index.js";
import { backward, scope, synchronize, Tensor } from "../../tensor/index.js";
import type { Callback, TrainContext } from "../../train/index.js";
import { LiveChannels } from "../live-channels.js";
import { livenessOf } from "../liveness.js";
import { prunable } from "../training.js";
import { type Sampling, sampling } from "./sampling.js";
import { withoutTrace } from "./without-trace.js";

/** L2 norms of the gradient of one weight tensor, after clipping. */
export interface LayerGradient {
  readonly name: string;
  /** Of the whole tensor, missing weights included. */
  readonly norm: number;
  /** Of the weights that exist. */
  readonly activeNorm: number;
}

/**
 * Figure 5 of arXiv 2411.13545: the sum over convolutions and classifier of the L2 norm of the dense gradient, after
 * clipping, in the last step of an epoch. Ordinary steps never form the gradient of missing weights, so it is taken in a
 * pass of its own, over the batch that the step is about to train on.
 */
export function gradientFlow(options: Sampling = {}): Callback {
  const sampled = sampling(options);
  return {
    name: "gradient-flow",
    async onStepStart(context, step) {
      const { loader, stepsPerEpoch, emit } = context;
      if (!loader || !sampled(step, stepsPerEpoch)) return;
      const batch = await loader.train(Math.ceil(step / stepsPerEpoch), (step - 1) % stepsPerEpoch);
      const layers = await denseGradientNorms(context, batch);
      batch.images.dispose();
      batch.labels.dispose();
      const sum = (key: "norm" | "activeNorm") => layers.reduce((total, layer) => total + layer[key], 0);
      emit({ type: "gradient-flow", step, norm: sum("norm"), activeNorm: sum("activeNorm"), layers });
    },
  };
}

/** Norms of what the gradients of the prunable weights over a batch would be; nothing of the pass stays. */
export function denseGradientNorms(context: TrainContext, { images, labels }: Batch): Promise<LayerGradient[]> {
  const { model, imageShape, clip, labelSmoothing = 0 } = context;
  const parameters = context.parameters();
  const layers = prunable(parameters);
  const asked = layers.map(({ denseGradient: { wanted, limit } }) => ({ wanted, limit }));
  const live = new LiveChannels();
  return withoutTrace(model, async () => {
    for (const { denseGradient, sparse } of layers)
      Object.assign(denseGradient, { wanted: sparse !== null, limit: null });
    live.follow(livenessOf(model, imageShape));
    live.apply({ growing: true });
    try {
      const results = scope(() => {
        backward(crossEntropy(model.forward(images), labels, { labelSmoothing }), { release: true });
        const clips = clip && clip.mode !== "off";
        const factor = clips
          ? clipFactor(parameters, clip.maximum, clip.mode as "active" | "dense")
          : Tensor.full([1], 1);
        return [squares(layers, denseOf), squares(layers, activeOf), factor];
      });
      await synchronize();
      const [dense, active, [factor]] = results.map((tensor) => tensor.dataSync());
      for (const tensor of results) tensor.dispose();
      return layers.map(({ name }, i) => {
        const [norm, activeNorm] = [dense[i], active[i]].map((square) => factor * Math.sqrt(square));
        return { name, norm, activeNorm };
      });
    } finally {
      for (const parameter of parameters) parameter.clearGradient();
      for (const [i, { denseGradient }] of layers.entries()) {
        denseGradient.clear();
        Object.assign(denseGradient, asked[i]);
      }
      live.dispose();
    }
  });
}

const activeOf = ({ leaf }: Parameter) => leaf.gradient;
const denseOf = ({ sparse, denseGradient, leaf }: Parameter) => (sparse ? denseGradient.tensor : leaf.gradient);

/** Sum of squares of a gradient of each layer; 0 where none arrived. */
function squares(layers: readonly Parameter[], of: (layer: Parameter) => Tensor | null): Tensor {
  const sums = Tensor.empty([layers.length]);
  const gradients = layers.map((layer) => of(layer)?.buffer ?? null);
  sums.kernels.sum_of_squares(gradients, sums.buffer);
  return sums;
}
