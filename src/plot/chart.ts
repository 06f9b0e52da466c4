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
export function figure(title: string, panels: readonly object[], columns = 2): object {
  return {
    title: { text: title, anchor: "start", fontSize: 15, offset: 14 },
    background: "white",
    padding: 16,
    spacing: 32,
    concat: panels,
    columns,
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
  /** Where the y axis ends. */
  readonly domain?: readonly [number, number];
}

/** A line with its band for each series. */
export function linePanel(rows: readonly LineRow[], { title, x = "epoch", y, domain }: PanelOptions): object {
  const scale = domain ? { domain, clamp: true } : { zero: false };
  const longest = Math.max(0, ...[...grouped(rows, (row) => row.series).values()].map(({ length }) => length));
  const common = {
    x: { field: "x", type: "quantitative", title: x, scale: { nice: false }, axis: { grid: false, tickMinStep: 1 } },
    color: colorOf(rows.map(({ series }) => series)),
  };
  return {
    title,
    width: 360,
    height: 220,
    data: { values: rows },
    layer: [
      {
        mark: { type: "area", opacity: 0.2, clip: true },
        encoding: { ...common, y: { field: "low", type: "quantitative", title: y, scale }, y2: { field: "high" } },
      },
      {
        mark: { type: "line", strokeWidth: 1.8, point: longest <= 40 ? { size: 18 } : false, clip: false },
        encoding: { ...common, y: { field: "y", type: "quantitative", title: y, scale } },
      },
    ],
  };
}

/** Colour by series; a legend where there are several. */
export function colorOf(names: readonly string[], field = "series"): object {
  const distinct = [...new Set(names)];
  return { field, type: "nominal", sort: distinct, title: null, legend: distinct.length > 1 ? {} : null };
}

/** How many runs a line stands for, as part of a title. */
export function seedsOf(series: readonly Series[]): string {
  const most = Math.max(...series.map(({ runs }) => runs.length));
  return most > 1 ? ` (mean ± standard deviation, up to ${most} seeds)` : "";
}
