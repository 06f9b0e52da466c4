import { describe, expect, it } from "vitest";
import { accuracyReport, experiments, printed, type Row } from "../../src/reproduce/index.js";
import { paperTable1 } from "../../src/reproduce/paper.js";
import { statistics } from "../../src/reproduce/rows.js";

const values = [86.5, 87.5];
const published: Row = {
  model: "resnet34",
  data: "cifar10",
  sparsity: 99.9,
  method: "east",
  label: "EAST",
  paper: { mean: 86.99, std: 0.32 },
  ours: statistics(values),
  values,
  wanted: 2,
  runs: ["aa", "bb"],
  differs: ["2 runs instead of 3", "JPEG images, of quality 75"],
};
const own: Row = {
  ...published,
  model: "resnet20",
  label: "SET",
  method: "set",
  paper: null,
  ours: statistics([50]),
  values: [50],
  runs: ["cc"],
  differs: ["no such number in the paper"],
};
const report = accuracyReport("Table 1: a title", "easting reproduce table1", [published, own]);

describe("statistics of runs", () => {
  it("are mean and standard deviation of the sample", () => {
    expect(statistics([83, 83, 10])).toEqual({ n: 3, mean: expect.closeTo(58.667, 3), std: expect.closeTo(42.147, 3) });
  });

  it("have no deviation for a single run, and do not exist for none", () => {
    expect(statistics([50])).toEqual({ n: 1, mean: 50, std: null });
    expect(statistics([])).toBeNull();
  });
});

describe("the paper's values", () => {
  it("are there for every cell of table 1, four methods at four sparsities on two networks and data sets", () => {
    expect(paperTable1.size).toBe(6 * 4 * 4);
    expect(paperTable1.get("resnet34/cifar10/99.99/east")).toEqual({ mean: 62.12, std: 0.9 });
    expect(paperTable1.get("resnet50/cifar10/99.9/rigl")).toEqual({ mean: 58.41, std: 42.03 });
    expect(paperTable1.get("resnet50/cifar100/99.99/dctps+rigl+east")).toEqual({ mean: 51.33, std: 0.57 });
    expect(experiments.table4.paper.get("resnet50/cifar10/99.99/rigl+ws")).toEqual({ mean: 62.71, std: null });
    expect(experiments.table3.paper.get("resnet50-imagenet/imagenet/99.9/east")).toEqual({ mean: 11.23, std: null });
  });
});

describe("a report", () => {
  it("in Markdown", () => {
    expect(printed(report).get("md")).toBe(`# Table 1: a title

\`\`\`sh
easting reproduce table1
\`\`\`

| network | data | sparsity | method | paper, % | ours, % | n | difference | runs | differs |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| resnet34 | cifar10 | 99.9 % | EAST | 86.99 ± 0.32 | 87.00 ± 0.71 | 2 | +0.01 | aa bb | 1, 2 |
| resnet20 | cifar10 | 99.9 % | SET | – | 50.00 ± – | 1 of 2 | – | cc | 3 |

1. 2 runs instead of 3
2. JPEG images, of quality 75
3. no such number in the paper
`);
  });

  it("in CSV, with bare numbers and quoted texts", () => {
    expect(printed(report).get("csv")).toBe(
      "network,data,sparsity,method,paper,paper_std,ours,std,n,difference,runs,differs\n" +
        "resnet34,cifar10,99.9,east,86.99,0.32,87,0.707106781187,2,0.01,aa bb," +
        '"2 runs instead of 3; JPEG images, of quality 75"\n' +
        "resnet20,cifar10,99.9,set,,,50,,1,,cc,no such number in the paper\n",
    );
  });

  it("in LaTeX, with receipts as comments", () => {
    expect(printed(report).get("tex")).toBe(String.raw`% Table 1: a title
% easting reproduce table1
% 1. 2 runs instead of 3
% 2. JPEG images, of quality 75
% 3. no such number in the paper
\begin{tabular}{llrlrrrr}
\toprule
network & data & sparsity & method & paper, \% & ours, \% & n & difference \\
\midrule
resnet34 & cifar10 & 99.9 \% & EAST & 86.99 $\pm$ 0.32 & 87.00 $\pm$ 0.71 & 2 & +0.01 \\ % aa bb; notes 1, 2
resnet20 & cifar10 & 99.9 \% & SET & -- & 50.00 $\pm$ -- & 1 of 2 & -- \\ % cc; notes 3
\bottomrule
\end{tabular}
`);
  });
});
