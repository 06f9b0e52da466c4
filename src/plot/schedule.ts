import { color, figure, type Picture } from "./chart.js";
import { only, type Run } from "./run.js";
import { type Point, seriesOf } from "./series.js";

export interface ScheduleRow extends Point {
  readonly series: string;
  readonly line: string;
}

/** Points of a line that is drawn in steps, at most: more cannot be told apart. */
const MOST_POINTS = 600;

const panels = [
  {
    title: "Sparsity",
    y: "sparsity (%)",
    lines: { actual: "density", target: "targetDensity" },
    value: (density: number) => 100 * (1 - density),
  },
  { title: "DyReLU phasing", y: "β", lines: { actual: "beta" }, value: (beta: number) => beta },
  { title: "Learning rate", y: "learning rate", lines: { actual: "learningRate" }, value: (rate: number) => rate },
] as const;

/** A number of the step events over the run, at the steps where it changes; seeds share it, so the first run stands for all. */
export function scheduleRows(
  runs: readonly Run[],
  lines: Readonly<Record<string, string>>,
  value: (x: number) => number = (x) => x,
): ScheduleRow[] {
  return seriesOf(runs).flatMap(({ label, runs: [run] }) =>
    Object.entries(lines).flatMap(([line, key]) => {
      const points = only(run, "step").flatMap((event) => {
        const number = event[key];
        return typeof number === "number" ? [{ x: event.step / run.stepsPerEpoch, y: value(number) }] : [];
      });
      return thinned(points).map((point) => ({ series: label, line, ...point }));
    }),
  );
}

/** Without the points between equal neighbours, and then every so manyth. */
function thinned(points: readonly Point[]): Point[] {
  const turns = points.filter(({ y }, i) => y !== points[i - 1]?.y || y !== points[i + 1]?.y);
  const stride = Math.ceil(turns.length / MOST_POINTS);
  return turns.filter((_, i) => i % stride === 0 || i === turns.length - 1);
}

/** Figure 6 of arXiv 2411.13545 and the other schedules: sparsity aimed at and had, β of DyReLU phasing, learning rate. */
export function schedules(runs: readonly Run[]): Picture[] {
  const drawn = panels.flatMap(({ title, y, lines, value }) => {
    const rows = scheduleRows(runs, lines, value);
    if (rows.length === 0) return [];
    const several = new Set(rows.map(({ line }) => line)).size > 1;
    return {
      title,
      width: 360,
      height: 180,
      data: { values: rows },
      mark: { type: "line", interpolate: "step-after", strokeWidth: 1.6 },
      encoding: {
        x: {
          field: "x",
          type: "quantitative",
          title: "epoch",
          scale: { nice: false, zero: true },
          axis: { grid: false },
        },
        y: { field: "y", type: "quantitative", title: y, scale: { zero: false } },
        color,
        ...(several && { strokeDash: { field: "line", type: "nominal", title: null, sort: ["actual", "target"] } }),
      },
    };
  });
  return drawn.length === 0 ? [] : [{ name: "schedule", spec: figure("Schedules", drawn) }];
}
