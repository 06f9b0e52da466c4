import { figure, type LineRow, linePanel, lineRows, type Picture, seedsOf } from "./chart.js";
import { only, type Run } from "./run.js";
import { seriesOf } from "./series.js";

/** The part of a network that a weight belongs to: stem, layer1 to layer4, classifier. */
export function partOf(name: string): string {
  const [part] = name.split(".");
  return part.startsWith("conv") ? "stem" : part === "fc" ? "classifier" : part;
}

/** Sum of the norms of the layers' gradients, of the whole network or of one part of it. */
export function gradientRows(runs: readonly Run[], part: string | null = null): LineRow[] {
  return lineRows(seriesOf(runs), (run) =>
    only(run, "gradient-flow").map(({ step, layers }) => {
      const counted = (layers as { name: string; norm: number }[]).filter(({ name }) => !part || partOf(name) === part);
      return { x: step / run.stepsPerEpoch, y: counted.reduce((sum, { norm }) => sum + norm, 0) };
    }),
  );
}

/** Figure 5 of arXiv 2411.13545: gradient flow over the epochs, of the network and of its parts. */
export function gradientFlowPicture(runs: readonly Run[]): Picture[] {
  const layers = runs.flatMap((run) => only(run, "gradient-flow")[0]?.layers ?? []) as { name: string }[];
  if (layers.length === 0) return [];
  const y = { y: "Σ of L2 norms", zero: true, wide: true };
  const parts = [...new Set(layers.map(({ name }) => partOf(name)))];
  const panels = [
    linePanel(gradientRows(runs), { title: "Network", ...y }),
    ...parts.map((part) => linePanel(gradientRows(runs, part), { title: part, ...y })),
  ];
  return [
    { name: "gradient-flow", spec: figure("Gradient flow", panels, { columns: 3, subtitle: seedsOf(seriesOf(runs)) }) },
  ];
}
