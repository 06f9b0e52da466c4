import type { Run } from "../../src/plot/index.js";
import type { TrainEvent } from "../../src/train/index.js";

const settings = { model: "resnet20", method: "rigl", sparsity: 99, data: "digits", clip: "off", seed: 1 };

/** A run of 10 steps an epoch with these events. */
export const runOf = (changed: Readonly<Record<string, unknown>>, events: readonly object[] = []): Run => ({
  name: "run",
  settings: { ...settings, ...changed },
  stepsPerEpoch: 10,
  begun: 1000,
  events: events as readonly TrainEvent[],
});

/** An epoch event with these numbers. */
export const epoch = (number: number, values: object) => ({
  type: "epoch",
  step: 10 * number,
  epoch: number,
  ...values,
});
