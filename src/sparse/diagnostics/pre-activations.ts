import type { Activation, Module } from "../../nn/index.js";
import { noGradient, scope, type Tensor } from "../../tensor/index.js";
import type { Callback } from "../../train/index.js";
import { type Sampling, sampling } from "./sampling.js";
import { withoutTrace } from "./without-trace.js";

export interface PreActivationsOptions extends Sampling {
  /** How many images to look at; 32 by default, at most a batch. */
  readonly images?: number;
}

/** One use of an activation. */
export interface PreActivationSite {
  readonly name: string;
  /** Fraction of its inputs that are above 0. */
  readonly positive: number;
}

/**
 * Figure 3 of arXiv 2411.13545: at every activation the fraction of inputs above 0, on the same images each time (the first
 * of the validation split, or of the test split), and their unweighted mean. BatchNorm normalises by these images, since
 * the running statistics of channels that do not matter stand still.
 */
export function preActivations(options: PreActivationsOptions = {}): Callback {
  const sampled = sampling(options);
  return {
    name: "pre-activations",
    async onStepEnd(context, step) {
      const { loader, stepsPerEpoch, model, emit } = context;
      if (!loader || !sampled(step, stepsPerEpoch)) return;
      const { validation, test } = loader.dataset;
      const split = validation.count > 0 ? "validation" : test.count > 0 ? "test" : "train";
      const { images, labels } = await loader.plain(split, 0, options.images ?? 32);
      const layers = await withoutTrace(model, () => positiveInputs(model, images));
      images.dispose();
      labels.dispose();
      if (layers.length === 0) return;
      const positive = layers.reduce((total, site) => total + site.positive, 0) / layers.length;
      emit({ type: "pre-activations", step, positive, layers });
    },
  };
}

/** What the activations of a network are given for these images, in the order of their use. */
export async function positiveInputs(model: Module, images: Tensor): Promise<PreActivationSite[]> {
  const activations = [...model.modules()].filter(
    (entry): entry is [string, Module & Activation] => "onInput" in entry[1],
  );
  const inputs = scope(() => {
    const seen: { name: string; input: Tensor }[] = [];
    const uses = new Map<string, number>();
    for (const [path, activation] of activations)
      activation.onInput = (input) => {
        input.materialize(); // the raw values, not fused with what the activation does
        const use = (uses.get(path) ?? 0) + 1;
        uses.set(path, use);
        seen.push({ name: use === 1 ? path : `${path} (${use})`, input });
      };
    try {
      noGradient(() => model.forward(images));
    } finally {
      for (const [, activation] of activations) activation.onInput = null;
    }
    return seen;
  });
  const sites: PreActivationSite[] = [];
  for (const { name, input } of inputs) {
    const values = await input.data();
    input.dispose();
    let positive = 0;
    for (const value of values) if (value > 0) positive++;
    sites.push({ name, positive: positive / values.length });
  }
  return sites;
}
