import { color, figure, type LineRow, linePanel, lineRows, type Picture, seedsOf } from "./chart.js";
import { only, type Run } from "./run.js";
import { seriesOf } from "./series.js";

interface Site {
  readonly name: string;
  readonly positive: number;
}

/** Percent of positive pre-activations, the mean over all activations, over the epochs. */
export function positiveRows(runs: readonly Run[]): LineRow[] {
  return lineRows(seriesOf(runs), (run) =>
    only(run, "pre-activations").map(({ step, positive }) => ({ x: step / run.stepsPerEpoch, y: 100 * positive })),
  );
}

/** The same for each activation, in the order of the network, at the last look. */
export function positiveByLayer(runs: readonly Run[]): LineRow[] {
  return lineRows(seriesOf(runs), (run) => {
    const sites = (only(run, "pre-activations").at(-1)?.layers ?? []) as readonly Site[];
    return sites.map(({ positive }, i) => ({ x: i + 1, y: 100 * positive }));
  });
}

/** Figure 3 of arXiv 2411.13545: positive pre-activations of each activation at the end, and of all over the epochs. */
export function preActivationsPicture(runs: readonly Run[]): Picture[] {
  const rows = positiveByLayer(runs);
  if (rows.length === 0) return [];
  const y = "positive (%)";
  const layers = {
    title: "By activation, at the last look",
    width: 360,
    height: 220,
    data: { values: rows },
    mark: { type: "line", point: { size: 26 }, strokeWidth: 1.4 },
    encoding: {
      x: {
        field: "x",
        type: "quantitative",
        title: "activation, from the stem on",
        axis: { grid: false, tickMinStep: 1 },
      },
      y: { field: "y", type: "quantitative", title: y },
      color,
    },
  };
  const overall = linePanel(positiveRows(runs), { title: "Mean over all activations", y, zero: true, most: 100 });
  const subtitle = seedsOf(seriesOf(runs));
  return [{ name: "pre-activations", spec: figure("Positive pre-activations", [layers, overall], { subtitle }) }];
}
