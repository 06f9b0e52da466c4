import { figure, type Picture } from "./chart.js";
import { only, type Run } from "./run.js";
import { seriesOf } from "./series.js";

/** A cell of a heat map: what a layer was like at the end of an epoch. */
export interface LayerRow {
  readonly layer: string;
  /** The cell reaches from one epoch to the next that is drawn. */
  readonly from: number;
  readonly to: number;
  readonly value: number;
}

/** Values by layer, known from a step on. */
interface Known {
  readonly step: number;
  readonly values: ReadonlyMap<string, number>;
}

/** Columns of a heat map, at most. */
const MOST_COLUMNS = 50;

interface LayerCounts {
  readonly name: string;
  readonly size?: number;
  readonly nnz: number;
  readonly live: number;
}

const plain = (name: string) => name.replace(/\.weight$/, "");
const counts = (run: Run, value: (layer: LayerCounts) => number | undefined): Known[] =>
  only(run, "liveness").map(({ step, layers }) => ({
    step,
    values: new Map(
      (layers as readonly LayerCounts[]).flatMap((layer) => {
        const number = value(layer);
        return number === undefined ? [] : [[plain(layer.name), number] as const];
      }),
    ),
  }));

const maps = {
  density: {
    title: "Density of each layer (%)",
    scale: "log",
    known: (run: Run) => counts(run, ({ nnz, size }) => (size ? (100 * nnz) / size : undefined)),
  },
  live: {
    title: "Live weights of each layer (%)",
    scale: "linear",
    known: (run: Run) => counts(run, ({ live, nnz }) => (nnz ? (100 * live) / nnz : 0)),
  },
  positive: {
    title: "Positive pre-activations (%)",
    scale: "linear",
    known: (run: Run): Known[] =>
      only(run, "pre-activations").map(({ step, layers }) => ({
        step,
        values: new Map(
          (layers as { name: string; positive: number }[]).map(({ name, positive }) => [name, 100 * positive]),
        ),
      })),
  },
} as const;

/** Cells of one run's heat map: each layer at the end of each epoch, as it was last known. */
export function layerRows(run: Run, what: keyof typeof maps): LayerRow[] {
  const known = maps[what].known(run);
  const epochs = only(run, "epoch").length;
  const stride = Math.max(1, Math.ceil(epochs / MOST_COLUMNS));
  const rows: LayerRow[] = [];
  for (let from = 0; from < epochs; from += stride) {
    const to = Math.min(epochs, from + stride);
    const { values = new Map<string, number>() } = known.findLast(({ step }) => step <= to * run.stepsPerEpoch) ?? {};
    for (const [layer, value] of values) rows.push({ layer, from, to, value });
  }
  return rows;
}

function heatMap(rows: readonly LayerRow[], { title, scale }: { title: string; scale: "log" | "linear" }): object {
  const layers = [...new Set(rows.map(({ layer }) => layer))];
  return {
    title,
    width: 280,
    height: { step: 13 },
    data: { values: rows },
    mark: { type: "rect", stroke: null },
    encoding: {
      x: {
        field: "from",
        type: "quantitative",
        title: "epoch",
        scale: { nice: false },
        axis: { grid: false, tickMinStep: 1 },
      },
      x2: { field: "to" },
      y: { field: "layer", type: "ordinal", sort: layers, title: null, axis: { labelFontSize: 10, labelLimit: 240 } },
      color: {
        field: "value",
        type: "quantitative",
        title: "%",
        scale: { type: scale, scheme: "viridis", ...(scale === "linear" && { domainMin: 0 }) },
      },
    },
    resolve: { scale: { color: "independent" } },
  };
}

/** Heat maps of the layers over the epochs, for the first seed of each series: a picture each. */
export function layerPictures(runs: readonly Run[]): Picture[] {
  const series = seriesOf(runs);
  return series.flatMap(({ label, runs: [run] }) => {
    const panels = (Object.keys(maps) as (keyof typeof maps)[]).flatMap((what) => {
      const rows = layerRows(run, what);
      return rows.length === 0 ? [] : heatMap(rows, maps[what]);
    });
    if (panels.length === 0) return [];
    const spec = {
      ...figure(`Layers: ${label}, seed ${run.settings.seed}`, panels, { columns: 3 }),
      resolve: { scale: { color: "independent", y: "independent" } },
    };
    return { name: series.length > 1 ? `layers-${slug(label)}` : "layers", spec };
  });
}

/** A label as part of a file's name. */
export const slug = (label: string) => label.replace(/[^A-Za-z0-9.+]+/g, "-").replace(/^-|-$/g, "");
