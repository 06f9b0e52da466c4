import type { TrainConfigInput } from "../east/index.js";
import { type Published, paperTable1, paperTable3, paperTable4 } from "./paper.js";

/** A row of a table, and how it is trained. */
export interface Method {
  readonly name: string;
  /** As the paper writes it. */
  readonly label: string;
  readonly settings: TrainConfigInput;
  /** Published number of epochs, where it is not the experiment's. */
  readonly epochs?: number;
}

/** Something of the paper that is trained: the axes of its cells, and what was published. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  readonly models: readonly string[];
  readonly data: readonly string[];
  readonly sparsities: readonly number[];
  readonly methods: readonly Method[];
  /** Published number of epochs; null where the paper gives none and ours is a choice. */
  readonly epochs: number | null;
  readonly settings?: TrainConfigInput;
  /** By `network/data/sparsity/method`. */
  readonly paper: ReadonlyMap<string, Published>;
}

const dense: Method = { name: "dense", label: "dense", settings: { method: "dense" } };
const synflow: Method = { name: "synflow", label: "SynFlow", settings: { method: "synflow" } };
const set: Method = { name: "set", label: "SET", settings: { method: "set" } };
const rigl: Method = { name: "rigl", label: "RigL", settings: { method: "rigl" } };
const east: Method = { name: "east", label: "EAST", settings: { method: "east" } };
const dctps: Method = { name: "dctps+rigl", label: "DCTpS+RigL", settings: { method: "dctps+rigl" }, epochs: 200 };
const dctpsEast: Method = {
  name: "dctps+rigl+east",
  label: "DCTpS+RigL+EAST",
  settings: { method: "dctps+rigl+east" },
  epochs: 200,
};
const dyrelu: Method = { name: "rigl+dyrelu", label: "RigL w/ DyReLU", settings: { method: "rigl", dyrelu: true } };
const sharing: Method = { name: "rigl+ws", label: "RigL w/ WS", settings: { method: "rigl", shareRatio: 2 } };
const cyclic: Method = {
  name: "rigl+cyclic",
  label: "RigL w/ cyclic sparsity",
  settings: { method: "rigl", cycles: 2 },
};

const table1: Experiment = {
  name: "table1",
  title: "Table 1: test accuracy at extreme sparsity",
  models: ["resnet34", "resnet50"],
  data: ["cifar10", "cifar100"],
  sparsities: [99, 99.9, 99.95, 99.99],
  methods: [dense, synflow, set, rigl, east, dctps, dctpsEast],
  epochs: 250,
  paper: paperTable1,
};

const table4: Experiment = {
  name: "table4",
  title: "Table 4: DyReLU phasing and weight sharing on RigL, each alone",
  models: ["resnet34", "resnet50"],
  data: ["cifar10"],
  sparsities: [99.95, 99.99],
  methods: [{ ...rigl, label: "RigL w/ ReLU" }, dyrelu, sharing],
  epochs: 250,
  paper: paperTable4,
};

/** What `easting reproduce` trains, by name. */
export const experiments = {
  table1,
  table3: {
    name: "table3",
    title: "Table 3: ImageNet, top-1 accuracy",
    models: ["resnet50-imagenet"],
    data: ["imagenet"],
    sparsities: [99.5, 99.9],
    methods: [
      synflow,
      set,
      rigl,
      // The sparse part stays where it was drawn.
      { name: "dctps", label: "DCT", settings: { method: "dctps+rigl", updateUntil: 0 } },
      { ...dctps, label: "DCT+RigL", epochs: undefined },
      { ...east, settings: { method: "east", cycles: 0 } },
    ],
    // "Given the much shortened training epochs": how many is not said.
    epochs: null,
    settings: { epochs: 30, batch: 256 },
    paper: paperTable3,
  },
  table4,
  figure2: {
    ...table1,
    name: "figure2",
    title: "Figure 2: test accuracy against sparsity",
    methods: table1.methods.slice(1),
  },
  figure3: {
    ...table4,
    name: "figure3",
    title: "Figure 3: positive pre-activations with and without DyReLU",
    models: ["resnet34"],
    sparsities: [99.99],
    methods: table4.methods.slice(0, 2),
  },
  figure5: { ...table4, name: "figure5", title: "Figure 5: gradient flow with and without DyReLU and weight sharing" },
  figure6: {
    name: "figure6",
    title: "Figure 6: cyclic against static sparsity",
    models: ["resnet34", "resnet50"],
    data: ["cifar100"],
    sparsities: [99.95],
    methods: [{ ...rigl, label: "RigL, static sparsity" }, cyclic],
    epochs: 250,
    paper: paperTable1,
  },
} as const satisfies Record<string, Experiment>;

export type ExperimentName = keyof typeof experiments;
export const experimentNames = Object.keys(experiments) as ExperimentName[];
