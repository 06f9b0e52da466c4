import { color, figure, type Picture } from "./chart.js";
import { only, type Run } from "./run.js";
import { grouped, seriesOf } from "./series.js";

export interface SparsityRow {
  readonly series: string;
  /** Percent; 0 for the dense network. */
  readonly sparsity: number;
  /** Percent of the test images: median, least and most over the runs. */
  readonly accuracy: number;
  readonly low: number;
  readonly high: number;
  readonly runs: number;
}

/** Test accuracy at the end of the runs of each method at each sparsity. */
export function sparsityRows(runs: readonly Run[]): SparsityRow[] {
  const ended = runs.filter((run) => only(run, "end").length > 0).map(withDenseAtZero);
  return seriesOf(ended, ["seed", "sparsity"]).flatMap(({ label, runs }) =>
    [...grouped(runs, ({ settings }) => Number(settings.sparsity))]
      .sort(([a], [b]) => a - b)
      .map(([sparsity, same]) => {
        const values = same.map((run) => 100 * only(run, "end")[0].testAccuracy).sort((a, b) => a - b);
        const middle = (values.length - 1) / 2;
        const accuracy = (values[Math.floor(middle)] + values[Math.ceil(middle)]) / 2;
        return { series: label, sparsity, accuracy, low: values[0], high: values.at(-1) as number, runs: same.length };
      }),
  );
}

const withDenseAtZero = (run: Run): Run =>
  run.settings.method === "dense" ? { ...run, settings: { ...run.settings, sparsity: 0 } } : run;

/** Figure 2 of arXiv 2411.13545: test accuracy against sparsity, the median over seeds with a band from least to most. */
export function accuracyAgainstSparsity(runs: readonly Run[]): Picture[] {
  const rows = sparsityRows(runs);
  if (rows.length === 0) return [];
  const levels = [...new Set(rows.map(({ sparsity }) => sparsity))].sort((a, b) => a - b);
  const most = Math.max(...rows.map((row) => row.runs));
  const x = { field: "sparsity", type: "ordinal", sort: levels, title: "sparsity (%)", axis: { labelAngle: 0 } };
  const title = "test accuracy (%)";
  const panel = {
    width: 460,
    height: 300,
    data: { values: rows },
    layer: [
      {
        mark: { type: "area", opacity: 0.2 },
        encoding: { x, y: { field: "low", type: "quantitative", title }, y2: { field: "high" }, color },
      },
      {
        mark: { type: "line", point: { size: 36 }, strokeWidth: 1.8 },
        encoding: { x, y: { field: "accuracy", type: "quantitative", title, scale: { zero: false } }, color },
      },
    ],
  };
  const subtitle = most > 1 ? `median, least and most of up to ${most} seeds` : "";
  return [{ name: "sparsity", spec: figure("Test accuracy against sparsity", [panel], { subtitle }) }];
}
