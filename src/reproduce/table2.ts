import { type ImageFormat, initialNetwork, type TrainConfigInput } from "../east/index.js";
import { erdosRenyiKernelDensities, prunable, summarize } from "../sparse/index.js";
import { paperTable2 } from "./paper.js";
import type { Report } from "./report.js";

/** What one image costs a ResNet-50 for CIFAR-10 under one method. */
export interface Cost {
  readonly method: keyof typeof paperTable2;
  /** Percent. */
  readonly sparsity: number;
  /** Published, in millions of multiply-accumulates, which the paper calls FLOP. */
  readonly paper: number;
  /** In millions, as published: nnz · h' · w' with the densities of ERK, every use of a shared weight, transforms of DCTpS. */
  readonly macs: number;
  /** In millions, of the network that is stored: ERK's numbers of weights made whole. */
  readonly counted: number;
  /** Weights of the dense network that are stored. */
  readonly parameters: number;
  /** Published, in millions. */
  readonly paperParameters: number;
}

const images: ImageFormat = {
  classes: Array.from({ length: 10 }, (_, i) => String(i)),
  shape: [3, 32, 32],
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

/** Table 2, computed: no training, no data. */
export async function table2(): Promise<Cost[]> {
  const { dense, ...methods } = paperTable2;
  const { macs: paper, parameters: paperParameters } = dense;
  const costs: Cost[] = [
    { method: "dense", sparsity: 0, paper, paperParameters, ...(await costOf({ method: "dense" })) },
  ];
  for (const [name, published] of Object.entries(methods) as [keyof typeof methods, (typeof methods)["set"]][]) {
    const settings = name === "east without weight sharing" ? { method: "east", shareRatio: 0 } : { method: name };
    for (const sparsity of [99.95, 99.99] as const)
      costs.push({
        method: name,
        sparsity,
        paper: published[sparsity],
        paperParameters: published.parameters,
        ...(await costOf({ ...settings, sparsity })),
      });
  }
  return costs;
}

async function costOf(settings: TrainConfigInput): Promise<Pick<Cost, "macs" | "counted" | "parameters">> {
  const { model, config, fit } = await initialNetwork({ model: "resnet50", ...settings }, images);
  try {
    const { layers, macs, denseMacs, transformMacs, prunable: all, owned } = summarize(model, images.shape);
    const millions = (value: number) => (value + transformMacs) / 1e6;
    const common = { counted: millions(macs), parameters: owned };
    if (config.method === "dense") return { ...common, macs: millions(denseMacs) };
    const stored = prunable(model.parameters());
    const densities = erdosRenyiKernelDensities(stored, ((1 - config.sparsity / 100) * all) / owned);
    const of = new Map(stored.map(({ name }, i) => [name, densities[i]]));
    const density = ({ name, sharedFrom }: (typeof layers)[number]) => of.get(sharedFrom ?? `${name}.weight`) as number;
    const expected = layers.reduce((total, layer) => total + layer.denseMacs * density(layer), 0);
    return { ...common, macs: millions(expected) };
  } finally {
    fit.optimizer.dispose();
    model.dispose();
  }
}

const notes = [
  "computed, not trained: multiply-accumulates of convolutions and classifier for one 32 × 32 image, with ERK's densities; every use of a shared weight counts, and for DCTpS half of Σ h'·w'·q·log₂ q with q = max(c·k², o)",
  "the published 1.24 and 0.26 follow from no convention that gives the other rows: the paper's own DCTpS rows contain 1.466 and 0.293, as 38.793 of them are the transforms",
];

export function table2Report(command: string, costs: readonly Cost[]): Report {
  const { macs: denseMacs } = costs[0];
  return {
    title: "Table 2: inference cost and size of ResNet-50 on CIFAR-10",
    command,
    heading: [
      "method",
      "sparsity",
      "paper, M",
      "ours, M",
      "difference",
      "of dense",
      "counted, M",
      "weights",
      "paper",
      "differs",
    ],
    rows: costs.map(({ method, sparsity, paper, macs, counted, parameters, paperParameters }) => [
      method,
      `${sparsity} %`,
      paper.toFixed(2),
      macs.toFixed(3),
      signed(macs - paper),
      `${(macs / denseMacs).toPrecision(2)} ×`,
      counted.toFixed(3),
      parameters.toLocaleString("en-US"),
      `${paperParameters}M`,
      Math.abs(macs / paper - 1) > 0.05 ? "1, 2" : "1",
    ]),
    csv: [
      ["method", "sparsity", "paper", "ours", "counted", "parameters", "paper_parameters"],
      ...costs.map((cost) => [
        cost.method,
        cost.sparsity,
        cost.paper,
        cost.macs,
        cost.counted,
        cost.parameters,
        cost.paperParameters * 1e6,
      ]),
    ],
    notes,
  };
}

const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
