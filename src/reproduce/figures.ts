import {
  accuracy,
  actualSparsity,
  curves,
  finishedEvents,
  gradientNorm,
  positivePreActivations,
  targetSparsity,
} from "./curves.js";
import type { Experiment, ExperimentName } from "./experiment.js";
import type { Row } from "./rows.js";
import type { EntryRuns } from "./runs.js";
import { accuracyAgainstSparsity, type LayerPoint, overEpochs, perLayer, stacked } from "./specs.js";

interface Drawn {
  readonly sweep: string;
  readonly experiment: Experiment;
  readonly runs: readonly EntryRuns[];
  readonly rows: readonly Row[];
}

/** The picture of an experiment; null where there is nothing to draw yet. */
export async function figureOf(drawn: Drawn): Promise<object | null> {
  const { experiment, rows } = drawn;
  if (rows.every(({ ours }) => ours === null)) return null;
  switch (experiment.name as ExperimentName) {
    case "figure3":
      return figure3(drawn);
    case "figure5":
      return figure5(drawn);
    case "figure6":
      return figure6(drawn);
    default:
      return accuracyAgainstSparsity(experiment.title, rows);
  }
}

async function figure3({ sweep, experiment, runs }: Drawn): Promise<object> {
  const { positive } = await curves(sweep, runs, { positive: positivePreActivations });
  const layers: LayerPoint[] = [];
  for (const { entry, cells } of runs)
    for (const cell of cells) {
      const last = (await finishedEvents(sweep, cell)).findLast(({ type }) => type === "pre-activations");
      const sites = (last?.layers ?? []) as readonly { readonly positive: number }[];
      layers.push(
        ...sites.map(({ positive }, i) => ({ method: entry.method.label, layer: i + 1, value: 100 * positive })),
      );
    }
  return stacked(experiment.title, [
    perLayer(layers, "after the last epoch"),
    overEpochs(positive, {
      title: "mean over activations",
      y: "positive pre-activations, %",
      panel: ({ model, data, sparsity }) => `${model}, ${data}, ${sparsity} %`,
    }),
  ]);
}

async function figure5({ sweep, experiment, runs }: Drawn): Promise<object> {
  const { norm } = await curves(sweep, runs, { norm: gradientNorm });
  return overEpochs(norm, {
    title: experiment.title,
    y: "sum of gradient norms",
    panel: ({ model, sparsity }) => `${model}, ${sparsity} %`,
  });
}

async function figure6({ sweep, experiment, runs }: Drawn): Promise<object> {
  const found = await curves(sweep, runs, { target: targetSparsity, actual: actualSparsity, accuracy });
  const schedule = [
    ...found.target.map((point) => ({ ...point, method: `${point.method}, target` })),
    ...found.actual.map((point) => ({ ...point, method: `${point.method}, actual` })),
  ];
  const panel = ({ model, data }: { readonly model: string; readonly data: string }) => `${model}, ${data}`;
  return stacked(experiment.title, [
    overEpochs(schedule, { title: "schedule", y: "sparsity, %", panel }),
    overEpochs(found.accuracy, { title: "accuracy", y: "validation accuracy, %", panel }),
  ]);
}
