import { figure, type LineRow, linePanel, lineRows, type Picture, seedsOf } from "./chart.js";
import { only, type Run } from "./run.js";
import { type Point, seriesOf } from "./series.js";

interface LayerCount {
  readonly channels: number;
  readonly liveChannels: number;
}

const epochs = (run: Run) =>
  only(run, "epoch") as unknown as { epoch: number; nnz?: number; liveWeights?: number; explored?: number }[];
const measured = (x: number, part?: number, whole?: number): Point[] =>
  part === undefined || !whole ? [] : [{ x, y: (100 * part) / whole }];
const sum = (layers: readonly LayerCount[], key: keyof LayerCount) =>
  layers.reduce((total, layer) => total + layer[key], 0);

/** What of a topology is drawn, each in percent. */
export const topologyLines = {
  /** Of the existing weights, those on a path from image to logit. */
  liveWeights: (run: Run): Point[] =>
    epochs(run).flatMap(({ epoch, liveWeights, nnz }) => measured(epoch, liveWeights, nnz)),
  /** Of the output channels of all sparse layers. */
  liveChannels: (run: Run): Point[] =>
    only(run, "liveness").flatMap(({ step, layers }) => {
      const counts = layers as readonly LayerCount[];
      return measured(step / run.stepsPerEpoch, sum(counts, "liveChannels"), sum(counts, "channels"));
    }),
  /** Of the weights after an update, those that came with it. */
  turnover: (run: Run): Point[] =>
    only(run, "topology").flatMap(({ step, grown, nnz }) => measured(step / run.stepsPerEpoch, grown, nnz)),
  /** Of all weights, those that exist or ever did. */
  explored: (run: Run): Point[] => epochs(run).flatMap(({ epoch, explored }) => measured(epoch, explored, 1)),
} as const;

const titles = {
  liveWeights: { title: "Live weights", y: "of existing weights (%)" },
  liveChannels: { title: "Live channels", y: "of output channels (%)" },
  turnover: { title: "Turnover of an update", y: "new weights (%)" },
  explored: { title: "Explored (ITOP rate)", y: "of prunable weights (%)" },
} as const;

export function topologyRows(runs: readonly Run[], what: keyof typeof topologyLines): LineRow[] {
  return lineRows(seriesOf(runs), topologyLines[what]);
}

/** What the topology does over the epochs: live weights and channels, turnover, exploration. */
export function topologyPicture(runs: readonly Run[]): Picture[] {
  const panels = (Object.keys(titles) as (keyof typeof titles)[]).flatMap((what) => {
    const rows = topologyRows(runs, what);
    return rows.length === 0 ? [] : linePanel(rows, { ...titles[what], zero: true, most: 100 });
  });
  return panels.length === 0
    ? []
    : [{ name: "topology", spec: figure("Topology", panels, { subtitle: seedsOf(seriesOf(runs)) }) }];
}
