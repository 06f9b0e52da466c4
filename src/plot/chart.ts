import type { Run } from "./run.js";
import { type Band, band, grouped, type Point, type Series } from "./series.js";

/** A picture to be drawn by `svg`: a vega-lite specification with its data, and a name for its file. */
export interface Picture {
  readonly name: string;
  readonly spec: object;
}

/** One row of a panel of lines. */
export interface LineRow extends Band {
  readonly series: string;
}

/** Panels beside or below each other under one title. */
export function figure(
  title: string,
  panels: readonly object[],
  { columns = 2, subtitle = "" }: { readonly columns?: number; readonly subtitle?: string } = {},
): object {
  return {
    title: { text: title, anchor: "start", fontSize: 15, offset: 14, ...(subtitle && { subtitle }) },
    background: "white",
    padding: 16,
    spacing: 32,
    concat: panels,
    columns: Math.min(columns, panels.length),
    config: {
      view: { stroke: null },
      axis: { gridColor: "#e6e6e6", domainColor: "#888", tickColor: "#888", labelFontSize: 11, titleFontSize: 12 },
      legend: { orient: "right", labelLimit: 400, labelFontSize: 11, titleFontSize: 12 },
      title: { fontSize: 13 },
    },
  };
}

/** The rows of a panel: for each series the lines of its runs, joined. Series without any point are left out. */
export function lineRows(series: readonly Series[], line: (run: Run) => readonly Point[]): LineRow[] {
  return series.flatMap(({ label, runs }) => band(runs.map(line)).map((row) => ({ series: label, ...row })));
}

export interface PanelOptions {
  readonly title: string;
  readonly x?: string;
  readonly y: string;
  /** What the quantity cannot exceed. */
  readonly most?: number;
  /** Whether the y axis begins at 0. */
  readonly zero?: boolean;
  /** Whether outliers may turn the y axis logarithmic (linear around 0). */
  readonly wide?: boolean;
}

/** A line with its band for each series; nothing drawn here is below 0. */
export function linePanel(rows: readonly LineRow[], { title, x = "epoch", y, ...range }: PanelOptions): object {
  const longest = Math.max(0, ...[...grouped(rows, (row) => row.series).values()].map(({ length }) => length));
  const common = {
    x: { field: "x", type: "quantitative", title: x, scale: { nice: false }, axis: { grid: false, tickMinStep: 1 } },
    color,
  };
  const vertical = { type: "quantitative", title: y, ...verticalAxis(rows, range) };
  return {
    title,
    width: 360,
    height: 220,
    data: { values: rows },
    layer: [
      {
        mark: { type: "area", opacity: 0.2, clip: true },
        encoding: { ...common, y: { field: "low", ...vertical }, y2: { field: "high" } },
      },
      {
        mark: { type: "line", strokeWidth: 1.8, point: longest <= 40 ? { size: 18 } : false },
        encoding: { ...common, y: { field: "y", ...vertical } },
      },
    ],
  };
}

type Range = Pick<PanelOptions, "most" | "zero" | "wide">;

/** Scale and ticks that hold lines and bands: logarithmic where the largest value is 20 times the median. */
function verticalAxis(rows: readonly LineRow[], { most = Infinity, zero = false, wide = false }: Range): object {
  const sorted = rows.map((row) => row.y).sort((a, b) => a - b);
  const high = Math.min(most, Math.max(...rows.map((row) => row.high)));
  const low = zero ? 0 : Math.max(0, Math.min(...rows.map((row) => row.low)));
  if (!wide || high <= 20 * sorted[sorted.length >> 1])
    return { scale: { domain: [low, high], zero: false, nice: true } };
  const least = sorted.find((value) => value > 0) ?? 1;
  const [from, to] = [least, high].map((value) => Math.floor(Math.log10(value)));
  const values = [0, ...Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i))];
  const scale = { type: "symlog", constant: 10 ** from, domain: [0, high], nice: false };
  return { scale, axis: { values, format: ",~r" } };
}

/** Colour by series, in their order, with one legend for all panels. */
export const color = { field: "series", type: "nominal", sort: null, title: null, legend: { symbolOpacity: 1 } };

/** What the bands are, where some line stands for several runs. */
export function seedsOf(series: readonly Series[]): string {
  const most = Math.max(...series.map(({ runs }) => runs.length));
  return most > 1 ? `mean ± standard deviation of up to ${most} seeds` : "";
}
