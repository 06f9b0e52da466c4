import type { Callback } from "../../train/index.js";
import { gradientFlow } from "./gradient-flow.js";
import { histograms } from "./histograms.js";
import { preActivations } from "./pre-activations.js";
import type { Sampling } from "./sampling.js";

export { gradientFlow, type LayerGradient } from "./gradient-flow.js";
export { type Histogram, histograms } from "./histograms.js";
export { type PreActivationSite, type PreActivationsOptions, preActivations } from "./pre-activations.js";
export type { Sampling } from "./sampling.js";

/** What can be looked at while a network trains, by its name on the command line. None of it changes the training. */
export const diagnostics = {
  "pre-activations": preActivations,
  "gradient-flow": gradientFlow,
  histograms,
} as const satisfies Record<string, (options?: Sampling) => Callback>;
