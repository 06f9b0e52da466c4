/** What happened in a run; one line of events.jsonl each. `step` is the number of optimizer steps taken by then. */
export type TrainEvent =
  | ({ type: "start"; step: number; steps: number; stepsPerEpoch: number; epochs: number; device: string } & Extra)
  | ({ type: "step"; step: number; epoch: number; loss: number; accuracy: number; learningRate: number } & Extra)
  | ({ type: "topology"; step: number; density: number; nnz: number; dropped: number; grown: number } & Extra)
  | ({ type: "liveness"; step: number; liveWeights: number; liveLogits: number; layers: readonly unknown[] } & Extra)
  | ({ type: "pre-activations"; step: number; positive: number; layers: readonly unknown[] } & Extra)
  | ({ type: "gradient-flow"; step: number; norm: number; layers: readonly unknown[] } & Extra)
  | { type: "histograms"; step: number; layers: readonly unknown[] }
  | EpochEvent
  | { type: "checkpoint"; step: number; path: string; best: boolean }
  | { type: "warning"; step: number; message: string }
  | { type: "interrupted"; step: number; path: string | null }
  | EndEvent;

export interface EpochEvent extends Extra {
  type: "epoch";
  step: number;
  epoch: number;
  /** Means over the epoch's batches, as they were trained (augmented, before each step). */
  trainLoss: number;
  trainAccuracy: number;
  /** Null without a validation split. */
  validationLoss: number | null;
  validationAccuracy: number | null;
  seconds: number;
  imagesPerSecond: number;
}

export interface EndEvent extends Extra {
  type: "end";
  step: number;
  testAccuracy: number;
  testLoss: number;
  /** Test accuracy of the checkpoint with the best validation accuracy at final density; null if there was none. */
  bestAccuracy: number | null;
  seconds: number;
  imagesPerSecond: number;
}

type Extra = { readonly [key: string]: unknown };
