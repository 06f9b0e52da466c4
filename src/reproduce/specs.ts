import type { Point } from "./curves.js";
import type { Row } from "./rows.js";

// Vega-lite specifications, as pure functions of the data they hold.

/** Sites of one network in order, with the share of positive inputs at the end of each run. */
export interface LayerPoint {
  readonly method: string;
  readonly layer: number;
  readonly value: number;
}

const schema = "https://vega.github.io/schema/vega-lite/v6.json";
const config = { view: { continuousWidth: 320, continuousHeight: 220 }, background: "white" };
const methodColor = {
  field: "method",
  type: "nominal",
  title: null,
  sort: null,
  legend: { symbolOpacity: 1 },
};

/** Figure 2: median over seeds against sparsity, with the range of the runs as a band; the paper's means dashed. */
export function accuracyAgainstSparsity(title: string, rows: readonly Row[]): object {
  const values = rows
    .filter(({ sparsity }) => sparsity > 0)
    .flatMap(({ model, data, sparsity, label, values, paper }) => {
      const common = { panel: `${model}, ${data}`, sparsity: String(sparsity), method: label };
      const ours = values.map((value) => ({ ...common, value, source: "ours" }));
      return paper ? [...ours, { ...common, value: paper.mean, source: "paper" }] : ours;
    });
  const ascending = [...new Set(values.map(({ sparsity }) => sparsity))].sort((a, b) => Number(a) - Number(b));
  const x = { field: "sparsity", type: "ordinal", sort: ascending, title: "sparsity, %", axis: { labelAngle: 0 } };
  const y = { field: "value", type: "quantitative", title: "test accuracy, %", scale: { domainMin: 0 } };
  const ours = [{ filter: "datum.source === 'ours'" }];
  return {
    $schema: schema,
    title,
    config,
    data: { values },
    facet: { field: "panel", type: "nominal", title: null, sort: null },
    columns: 2,
    spec: {
      width: 280,
      layer: [
        {
          transform: ours,
          mark: { type: "area", opacity: 0.2 },
          encoding: { x, y: { ...y, aggregate: "min" }, y2: { field: "value", aggregate: "max" }, color: methodColor },
        },
        {
          mark: { type: "line", point: true },
          encoding: {
            x,
            y: { ...y, aggregate: "median" },
            color: methodColor,
            strokeDash: {
              field: "source",
              type: "nominal",
              title: null,
              sort: ["ours", "paper"],
              legend: { symbolType: "stroke", symbolStrokeColor: "black", symbolStrokeWidth: 2 },
            },
          },
        },
      ],
    },
  };
}

interface Axes {
  readonly title: string;
  readonly y: string;
  /** What tells panels apart. */
  readonly panel: (point: Point) => string;
}

/** Mean over seeds against epochs, with the range of the runs as a band. */
export function overEpochs(points: readonly Point[], { title, y: axis, panel }: Axes): object {
  const values = points.map((point) => ({
    panel: panel(point),
    method: point.method,
    epoch: point.epoch,
    value: point.value,
  }));
  const x = { field: "epoch", type: "quantitative", title: "epoch" };
  const y = { field: "value", type: "quantitative", title: axis, scale: { zero: false } };
  return {
    $schema: schema,
    title,
    config,
    data: { values },
    facet: { field: "panel", type: "nominal", title: null, sort: null },
    columns: 2,
    resolve: { scale: { y: "independent" } },
    spec: {
      layer: [
        {
          mark: { type: "area", opacity: 0.2 },
          encoding: { x, y: { ...y, aggregate: "min" }, y2: { field: "value", aggregate: "max" }, color: methodColor },
        },
        { mark: { type: "line" }, encoding: { x, y: { ...y, aggregate: "mean" }, color: methodColor } },
      ],
    },
  };
}

/** Figure 3, left: one mark per activation and method, means over seeds. */
export function perLayer(points: readonly LayerPoint[], title: string): object {
  return {
    $schema: schema,
    title,
    config,
    data: { values: points },
    mark: { type: "line", point: true },
    encoding: {
      x: { field: "layer", type: "quantitative", title: "activation, from the image on" },
      y: { field: "value", type: "quantitative", aggregate: "mean", title: "positive pre-activations, %" },
      color: methodColor,
    },
  };
}

/** Pictures one below the other, each with its own colours. */
export function stacked(title: string, specs: readonly object[]): object {
  const parts = specs.map((spec) => ({ ...spec, $schema: undefined, config: undefined }));
  return { $schema: schema, title, config, vconcat: parts, resolve: { scale: { color: "independent" } } };
}
