import { isDone, runFolder } from "../experiments/index.js";
import { color, figure, type LineRow, linePanel } from "../plot/chart.js";
import { curveRows } from "../plot/curves.js";
import { gradientRows } from "../plot/gradient-flow.js";
import { preActivationsPicture } from "../plot/pre-activations.js";
import { only, type Run, readRun } from "../plot/run.js";
import { scheduleRows } from "../plot/schedule.js";
import { grouped } from "../plot/series.js";
import type { Experiment, ExperimentName } from "./experiment.js";
import { paperFigure3 } from "./paper.js";
import type { Row } from "./rows.js";
import type { EntryRuns } from "./runs.js";

/** A picture as a vega-lite specification, and what it shows of the numbers that the paper gives for it in its text. */
export interface Figure {
  readonly spec: object | null;
  readonly remarks: readonly string[];
}

/** The picture of an experiment; of a table the accuracies against sparsity. Without a run that is done there is none. */
export async function figureOf(
  sweep: string,
  { name, title }: Experiment,
  entries: readonly EntryRuns[],
  rows: readonly Row[],
): Promise<Figure> {
  if (rows.every(({ ours }) => ours === null)) return { spec: null, remarks: [] };
  switch (name as ExperimentName) {
    case "figure3": {
      const runs = await finishedRuns(sweep, entries);
      return { spec: preActivationsPicture(runs)[0]?.spec ?? null, remarks: preActivationRemarks(runs) };
    }
    case "figure5":
      return { spec: gradientFlow(title, await finishedRuns(sweep, entries)), remarks: [] };
    case "figure6":
      return { spec: cyclicSparsity(title, await finishedRuns(sweep, entries)), remarks: [] };
    default:
      return { spec: accuracyAgainstSparsity(title, rows), remarks: [] };
  }
}

/** The numbers of figure 3 that the text names, for ResNet-34 at 99.99 %, beside those of these runs. */
export function preActivationRemarks(runs: readonly Run[]): string[] {
  const { relu, dyreluBegin, dyreluEnd } = paperFigure3;
  const told = [
    ["RigL w/ ReLU", "at the last look", -1, relu],
    ["RigL w/ DyReLU", "at the first look", 0, dyreluBegin],
    ["RigL w/ DyReLU", "at the last look", -1, dyreluEnd],
  ] as const;
  return told.flatMap(([method, when, at, paper]) => {
    const same = runs.filter(({ settings }) => settings.method === method);
    const looks = same.flatMap((run) => only(run, "pre-activations").at(at) ?? []);
    if (looks.length === 0) return [];
    const mean = looks.reduce((sum, { positive }) => sum + 100 * positive, 0) / looks.length;
    return [
      `positive pre-activations of ${method} ${when}: paper ${paper} %, ours ${mean.toFixed(1)} % (n = ${looks.length})`,
    ];
  });
}

/** Runs with no other settings than their place in the table, so that lines bear the paper's names. */
async function finishedRuns(sweep: string, entries: readonly EntryRuns[]): Promise<Run[]> {
  const runs: Run[] = [];
  for (const { entry, cells } of entries)
    for (const cell of cells) {
      const folder = runFolder(sweep, cell.id);
      if (!(await isDone(folder, cell))) continue;
      const { model, data, sparsity, method } = entry;
      const settings = { model, data, sparsity, method: method.label, seed: cell.config.seed };
      runs.push({ ...(await readRun(folder)), settings });
    }
  return runs;
}

/** A panel for each network, data set and sparsity, its lines named by method. */
function panels(runs: readonly Run[], panel: (title: string, runs: readonly Run[]) => object): object[] {
  const place = ({ settings: { model, data, sparsity } }: Run) => `${model}, ${data}, ${sparsity} %`;
  return [...grouped(runs, place)].map(([title, runs]) => panel(title, runs));
}

/** Figure 5: the sum over weight tensors of the norm of the dense gradient. */
export function gradientFlow(title: string, runs: readonly Run[]): object | null {
  const drawn = runs.filter(({ events }) => events.some(({ type }) => type === "gradient-flow"));
  const y = { y: "Σ L2 norms of gradients", zero: true, wide: true };
  const all = panels(drawn, (title, runs) => linePanel(gradientRows(runs), { title, ...y }));
  return all.length > 0 ? figure(title, all) : null;
}

/** Figure 6: sparsity aimed at and had, and validation accuracy, over the epochs. */
export function cyclicSparsity(title: string, runs: readonly Run[]): object {
  const schedule = (title: string, runs: readonly Run[]) => {
    const missing = (density: number) => 100 * (1 - density);
    const rows = scheduleRows(runs, { actual: "density", target: "targetDensity" }, missing);
    const lines = rows.map(
      ({ series, line, x, y }): LineRow => ({ series: `${series}, ${line}`, x, y, low: y, high: y, runs: 1 }),
    );
    return linePanel(lines, { title, y: "sparsity (%)" });
  };
  const accuracy = (title: string, runs: readonly Run[]) =>
    linePanel(curveRows(runs, "validationAccuracy", 100), { title, y: "validation accuracy (%)" });
  const all = figure(title, [...panels(runs, schedule), ...panels(runs, accuracy)]);
  return { ...all, resolve: { scale: { color: "independent" } } };
}

/** Figure 2: test accuracy, the median over seeds with a band from least to most; the paper's means dashed. */
export function accuracyAgainstSparsity(title: string, rows: readonly Row[]): object {
  const sparse = rows.filter(({ sparsity }) => sparsity > 0);
  const levels = [...new Set(sparse.map(({ sparsity }) => sparsity))].sort((a, b) => a - b);
  const x = { field: "sparsity", type: "ordinal", sort: levels, title: "sparsity (%)", axis: { labelAngle: 0 } };
  const y = { field: "accuracy", type: "quantitative", title: "test accuracy (%)" };
  const panel = (title: string, rows: readonly Row[]) => ({
    title,
    width: 360,
    height: 260,
    data: { values: rows.flatMap(points) },
    layer: [
      {
        transform: [{ filter: "datum.source === 'ours'" }],
        mark: { type: "area", opacity: 0.2 },
        encoding: { x, y: { ...y, aggregate: "min" }, y2: { ...y, aggregate: "max" }, color },
      },
      {
        mark: { type: "line", strokeWidth: 1.8 },
        encoding: {
          x,
          y: { ...y, aggregate: "median" },
          color,
          strokeDash: { field: "source", type: "nominal", title: null, scale: { domain: ["ours", "paper"] } },
        },
      },
      {
        mark: { type: "point", filled: true, size: 30 },
        encoding: { x, y: { ...y, aggregate: "median" }, color, detail: { field: "source" } },
      },
    ],
  });
  const places = grouped(sparse, ({ model, data }) => `${model}, ${data}`);
  return figure(
    title,
    [...places].map(([title, rows]) => panel(title, rows)),
  );
}

const points = ({ label, sparsity, values, paper }: Row) => [
  ...values.map((accuracy) => ({ series: label, sparsity, accuracy, source: "ours" })),
  ...(paper ? [{ series: label, sparsity, accuracy: paper.mean, source: "paper" }] : []),
];
