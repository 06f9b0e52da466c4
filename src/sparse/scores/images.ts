import { expected } from "../../errors.js";
import { crossEntropy, scale } from "../../ops/index.js";
import { Tensor } from "../../tensor/index.js";
import type { StartingNetwork } from "../method.js";
import type { Scored } from "./by-score.js";
import { plus } from "./products.js";
import { type TrialOptions, type TrialWeight, trialGradients } from "./trial.js";

/** Training batches for a score: `count` of them from batch `first` on, in an order that no epoch of training has. */
export interface Batches {
  readonly first: number;
  readonly count: number;
}

/** Batches that hold at least `images` training images. */
export function batchesOf(name: string, { loader }: StartingNetwork, images: number): number {
  if (!loader)
    throw expected(name, "training images to score weights by", "none", "train with it, then look at the run");
  return Math.max(1, Math.ceil(images / loader.batch));
}

/** Mean over batches of the gradient of the cross-entropy of logits / `temperature`. */
export async function lossGradients(
  { network, layers }: Scored,
  weights: readonly TrialWeight[],
  { first, count }: Batches,
  options: TrialOptions & { readonly temperature?: number },
): Promise<Float64Array[]> {
  const { loader, model } = network;
  if (!loader) throw expected("score", "training images", "none");
  const { temperature = 1, dtype } = options;
  let total: Float64Array[] | null = null;
  for (let i = 0; i < count; i++) {
    const { images, labels } = await loader.train(0, (first + i) % loader.stepsPerEpoch);
    const input = Tensor.from(await images.data(), images.shape, { dtype });
    const loss = () => crossEntropy(scale(model.forward(input), 1 / temperature), labels);
    const gradients = trialGradients(model, layers, weights, loss, options);
    const sums: Float64Array[] | null = total;
    total = gradients.map((gradient, l) => plus(sums?.[l] ?? new Float64Array(gradient.length), gradient, 1 / count));
    for (const tensor of [input, images, labels]) tensor.dispose();
  }
  return total as Float64Array[];
}
