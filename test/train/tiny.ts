import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { memoryDataset } from "../../src/data/dataset.js";
import { digitsDataset, type ImageDataset } from "../../src/data/index.js";
import {
  type ActivationFactory,
  BatchNorm2d,
  Conv2d,
  GlobalAveragePool,
  Initializer,
  Linear,
  Module,
  ReLU,
} from "../../src/nn/index.js";
import type { Tensor } from "../../src/tensor/index.js";
import type { TrainEvent } from "../../src/train/index.js";

/** The first digits of the package: an epoch of a few steps. */
export function fewDigits(train: number, validation = 20, test = 20): ImageDataset {
  const digits = digitsDataset({ validation: "none" });
  const count = train + validation + test;
  const pixels = (digits.train.pixels as Uint8Array).subarray(0, count * 64);
  const labels = digits.train.labels.subarray(0, count);
  return memoryDataset({ ...digits, hash: `${train} digits` }, pixels, labels, { train, validation, test });
}

/** conv 1 → 4, BatchNorm, activation, pool, linear 4 → 10: 76 prunable weights, a step in well under a millisecond. */
export class TinyNetwork extends Module {
  readonly conv: Conv2d;
  readonly norm = new BatchNorm2d(4);
  readonly activation: Module;
  readonly pool = new GlobalAveragePool();
  readonly fc: Linear;

  constructor(activation: ActivationFactory = () => new ReLU(), seed = 1) {
    super();
    const init = new Initializer(seed);
    this.conv = new Conv2d(1, 4, { kernel: 3, init });
    this.activation = activation(4);
    this.fc = new Linear(4, 10, { bias: false, init });
  }
  forward(x: Tensor): Tensor {
    return this.fc.forward(this.pool.forward(this.activation.forward(this.norm.forward(this.conv.forward(x)))));
  }
}

export async function collect(run: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of run) events.push(event);
  return events;
}

/** Events of one type, in order. */
export function only<T extends TrainEvent["type"]>(events: readonly TrainEvent[], type: T) {
  return events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);
}

export function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** Makes folders that are gone after each test. */
export function temporaryFolders(): () => string {
  const made: string[] = [];
  afterEach(() => {
    for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    const folder = mkdtempSync(join(tmpdir(), "easting-train-"));
    made.push(folder);
    return folder;
  };
}

/** What a promise is rejected with. */
export async function failure(work: Promise<unknown>): Promise<Error & { code?: string }> {
  return work.then(
    () => {
      throw new Error("nothing was thrown");
    },
    (error) => error,
  );
}
