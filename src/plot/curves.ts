import type { EpochEvent } from "../train/index.js";
import { figure, type LineRow, linePanel, lineRows, type PanelOptions, type Picture, seedsOf } from "./chart.js";
import { only, type Run } from "./run.js";
import { seriesOf } from "./series.js";

const measures = [
  { key: "validationAccuracy", title: "Validation accuracy", y: "accuracy (%)", factor: 100, most: 100 },
  { key: "trainAccuracy", title: "Training accuracy", y: "accuracy (%)", factor: 100, most: 100 },
  { key: "validationLoss", title: "Validation loss", y: "cross-entropy (nats)", factor: 1, wide: true },
  { key: "trainLoss", title: "Training loss", y: "cross-entropy (nats)", factor: 1, wide: true },
] as const satisfies readonly (PanelOptions & { key: keyof EpochEvent; factor: number })[];

/** Accuracy or loss after each epoch, a line for each series. */
export function curveRows(runs: readonly Run[], key: (typeof measures)[number]["key"], factor = 1): LineRow[] {
  return lineRows(seriesOf(runs), (run) =>
    only(run, "epoch").flatMap((event) => {
      const value = event[key];
      return value === null ? [] : [{ x: event.epoch, y: factor * value }];
    }),
  );
}

/** Accuracy and loss over the epochs, with a band over seeds. */
export function curves(runs: readonly Run[]): Picture[] {
  const panels = measures
    .map(({ key, factor, ...options }) => ({ ...options, rows: curveRows(runs, key, factor) }))
    .filter(({ rows }) => rows.length > 0)
    .map(({ rows, ...options }) => linePanel(rows, options));
  return panels.length === 0
    ? []
    : [{ name: "curves", spec: figure("Training", panels, { subtitle: seedsOf(seriesOf(runs)) }) }];
}
