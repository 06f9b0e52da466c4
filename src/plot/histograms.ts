import { figure, type Picture } from "./chart.js";
import { slug } from "./layers.js";
import { only, type Run } from "./run.js";
import { grouped, seriesOf } from "./series.js";

/** A bin of a layer's histogram. */
export interface BinRow {
  readonly layer: string;
  readonly from: number;
  readonly to: number;
  /** Percent of the layer's weights. */
  readonly share: number;
}

interface LayerHistogram {
  readonly name: string;
  readonly weights: { readonly min: number; readonly max: number; readonly counts: readonly number[] };
}

/** Bins of all layers of a run at the last look. */
export function binRows(run: Run): BinRow[] {
  const layers = (only(run, "histograms").at(-1)?.layers ?? []) as readonly LayerHistogram[];
  return layers.flatMap(({ name, weights: { min, max, counts } }) => {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const width = (max - min) / counts.length;
    return counts.flatMap((count, i) =>
      count === 0
        ? []
        : { layer: name, from: min + i * width, to: min + (i + 1) * width, share: (100 * count) / total },
    );
  });
}

/** The existing weights of each layer at the last look, for the first seed of each series: a picture each. */
export function histogramPictures(runs: readonly Run[]): Picture[] {
  const series = seriesOf(runs);
  return series.flatMap(({ label, runs: [run] }) => {
    const rows = binRows(run);
    if (rows.length === 0) return [];
    const panels = [...grouped(rows, ({ layer }) => layer)].map(([layer, bins]) => ({
      title: { text: layer.replace(/\.weight$/, ""), fontSize: 11 },
      width: 130,
      height: 70,
      data: { values: bins },
      mark: { type: "rect" },
      encoding: {
        x: { field: "from", type: "quantitative", title: "weight", axis: { grid: false, tickCount: 4 } },
        x2: { field: "to" },
        y: { field: "share", type: "quantitative", title: "share (%)", axis: { tickCount: 3 }, scale: { zero: true } },
        y2: { datum: 0 },
      },
    }));
    const spec = figure(`Existing weights: ${label}, seed ${run.settings.seed}`, panels, { columns: 5 });
    return { name: series.length > 1 ? `histograms-${slug(label)}` : "histograms", spec };
  });
}
