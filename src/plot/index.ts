import type { Picture } from "./chart.js";
import { curves } from "./curves.js";
import { gradientFlowPicture } from "./gradient-flow.js";
import { histogramPictures } from "./histograms.js";
import { layerPictures } from "./layers.js";
import { preActivationsPicture } from "./pre-activations.js";
import type { Run } from "./run.js";
import { schedules } from "./schedule.js";
import { accuracyAgainstSparsity } from "./sparsity.js";
import { topologyPicture } from "./topology.js";

export type { Picture } from "./chart.js";
export { epochsCsv, layersCsv } from "./csv.js";
export { type Run, readRun } from "./run.js";
export { svg } from "./svg.js";
export { tensorboard } from "./tensorboard.js";

/** What can be drawn of runs, by its name on the command line; nothing where the runs lack what it takes. */
export const plots = {
  curves,
  sparsity: accuracyAgainstSparsity,
  schedule: schedules,
  topology: topologyPicture,
  layers: layerPictures,
  "pre-activations": preActivationsPicture,
  "gradient-flow": gradientFlowPicture,
  histograms: histogramPictures,
} as const satisfies Record<string, (runs: readonly Run[]) => readonly Picture[]>;
