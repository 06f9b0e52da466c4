// The paper's numbers, transcribed from the text of arXiv 2411.13545 ("Pushing the Limits of Sparsity: A Bag of Tricks
// for Extreme Pruning"). Test accuracy in percent; ± is the standard deviation of three runs.

/** A published number. */
export interface Published {
  readonly mean: number;
  /** Null where the paper gives none. */
  readonly std: number | null;
}

/** Table 1, by network, data and method; at 99, 99.9, 99.95 and 99.99 % sparsity. */
const table1: Readonly<Record<string, string>> = {
  "resnet34/cifar10/synflow": "86.03±0.71 61.61±10.76 56.33±3.44 10.00±0.00",
  "resnet34/cifar10/set": "93.09±0.15 82.70±0.91 70.84±1.51 10.00±0.00",
  "resnet34/cifar10/rigl": "92.92±0.18 85.71±0.23 81.47±0.32 10.03±0.19",
  "resnet34/cifar10/east": "93.51±0.13 86.99±0.32 83.83±0.02 62.12±0.90",
  "resnet34/cifar10/dctps+rigl": "89.04±0.07 83.96±0.23 80.80±0.51 77.38±0.57",
  "resnet34/cifar10/dctps+rigl+east": "89.72±0.09 84.19±0.64 81.96±0.24 77.54±0.17",
  "resnet34/cifar100/synflow": "57.44±1.72 22.91±18.98 1.00±0.00 1.00±0.00",
  "resnet34/cifar100/set": "71.97±0.72 47.64±0.43 32.14±0.60 1.00±0.00",
  "resnet34/cifar100/rigl": "70.72±0.25 50.26±0.16 38.44±0.95 1.14±0.24",
  "resnet34/cifar100/east": "71.14±0.51 56.32±0.31 45.81±0.60 18.84±0.55",
  "resnet34/cifar100/dctps+rigl": "63.12±0.53 51.30±0.26 45.68±0.70 37.59±0.52",
  "resnet34/cifar100/dctps+rigl+east": "64.33±0.44 53.21±0.28 47.80±0.69 38.02±0.26",
  "resnet50/cifar10/synflow": "77.06±7.40 48.62±9.32 10.00±0.00 10.00±0.00",
  "resnet50/cifar10/set": "91.97±0.25 27.05±15.17 16.04±2.85 10.00±0.00",
  "resnet50/cifar10/rigl": "92.75±0.25 58.41±42.03 30.14±10.85 10.00±0.00",
  "resnet50/cifar10/east": "93.48±0.13 86.16±0.12 81.18±0.59 49.55±4.69",
  "resnet50/cifar10/dctps+rigl": "89.66±0.27 85.98±0.55 85.03±0.25 83.13±0.53",
  "resnet50/cifar10/dctps+rigl+east": "89.67±0.12 87.10±0.35 85.87±0.39 83.88±0.19",
  "resnet50/cifar100/synflow": "48.91±1.48 12.07±10.21 9.40±3.92 1.00±0.00",
  "resnet50/cifar100/set": "70.35±0.11 8.59±2.61 1.26±0.28 1.00±0.00",
  "resnet50/cifar100/rigl": "70.50±0.32 51.90±0.62 7.02±5.33 1.00±0.00",
  "resnet50/cifar100/east": "71.04±0.15 56.76±0.22 45.55±0.43 3.64±2.84",
  "resnet50/cifar100/dctps+rigl": "64.85±0.23 55.98±0.09 52.71±0.20 49.63±1.11",
  "resnet50/cifar100/dctps+rigl+east": "64.92±1.41 58.17±0.22 55.60±0.38 51.33±0.57",
};

/** Table 3, ImageNet: top-1 at 99.5 and 99.9 %. Its top-5 are not here, because runs report top-1. */
const table3: Readonly<Record<string, string>> = {
  "resnet50-imagenet/imagenet/synflow": "0.10 0.10",
  "resnet50-imagenet/imagenet/set": "0.10 0.10",
  "resnet50-imagenet/imagenet/rigl": "32.50 8.53",
  "resnet50-imagenet/imagenet/dctps": "0.10 0.10",
  "resnet50-imagenet/imagenet/dctps+rigl": "19.99 6.62",
  "resnet50-imagenet/imagenet/east": "34.45 11.23",
};

/** Table 4: at 99.95 and 99.99 %. */
const table4: Readonly<Record<string, string>> = {
  "resnet34/cifar10/rigl": "81.47 10.03",
  "resnet34/cifar10/rigl+dyrelu": "81.80 54.58",
  "resnet34/cifar10/rigl+ws": "81.96 62.94",
  "resnet50/cifar10/rigl": "30.14 10.00",
  "resnet50/cifar10/rigl+dyrelu": "69.57 53.32",
  "resnet50/cifar10/rigl+ws": "82.02 62.71",
};

/** Accuracies by `network/data/sparsity/method`. */
export const paperTable1 = bySparsity(table1, [99, 99.9, 99.95, 99.99]);
export const paperTable3 = bySparsity(table3, [99.5, 99.9]);
export const paperTable4 = bySparsity(table4, [99.95, 99.99]);

/** Table 2, ResNet-50 on CIFAR-10: millions of multiply-accumulates ("FLOP") and millions of parameters. */
export const paperTable2 = {
  dense: { macs: 1297.83, parameters: 23.5 },
  set: { 99.95: 1.24, 99.99: 0.26, parameters: 23.5 },
  rigl: { 99.95: 1.24, 99.99: 0.26, parameters: 23.5 },
  "east without weight sharing": { 99.95: 1.24, 99.99: 0.26, parameters: 23.5 },
  east: { 99.95: 2.59, 99.99: 0.52, parameters: 13.9 },
  "dctps+rigl": { 99.95: 40.26, 99.99: 39.09, parameters: 23.5 },
  "dctps+rigl+east": { 99.95: 40.26, 99.99: 39.09, parameters: 23.5 },
} as const;

/** Figure 3, section 3.1: percent of positive pre-activations of ResNet-34 at 99.99 %. */
export const paperFigure3 = { relu: 1.3, dyreluBegin: 56.8, dyreluEnd: 4.5 } as const;

function bySparsity(
  rows: Readonly<Record<string, string>>,
  sparsities: readonly number[],
): ReadonlyMap<string, Published> {
  const entries = Object.entries(rows).flatMap(([key, text]) => {
    const [model, data, method] = key.split("/");
    return text.split(" ").map((value, i): [string, Published] => {
      const [mean, std] = value.split("±").map(Number);
      return [`${model}/${data}/${sparsities[i]}/${method}`, { mean, std: std ?? null }];
    });
  });
  return new Map(entries);
}
