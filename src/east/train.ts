import type { ImageDataset } from "../data/index.js";
import { EastingError } from "../errors.js";
import { native } from "../native.js";
import { useConvAlgorithm } from "../nn/index.js";
import { type DeviceRequest, useDevice } from "../tensor/index.js";
import { type Callback, fit, type JsonObject, recordRun, type TrainEvent } from "../train/index.js";
import { version } from "../version.js";
import type { TrainConfigInput } from "./config.js";
import { imageFormat, prepare } from "./recipe.js";

export interface TrainOptions {
  /** Run folder for receipt, events, checkpoints and result; nothing is written without one. */
  readonly out?: string;
  /** Go on from the newest checkpoint in `out`. */
  readonly resume?: boolean;
  /** Checkpoints kept besides the best; 3 by default. */
  readonly keep?: number;
  /** Steps between checkpoints besides those at epoch ends. */
  readonly saveEvery?: number;
  readonly stopAfter?: number;
  /** Where to compute: a GPU if there is one, by default. No part of the configuration: a run may go on elsewhere. */
  readonly device?: DeviceRequest;
  readonly signal?: AbortSignal;
  /** Take part besides those of the method, such as diagnostics; called after them. */
  readonly callbacks?: readonly Callback[];
  /** How to open the data again; recorded in the receipt. */
  readonly dataSource?: JsonObject;
}

/**
 * Trains a network by a configuration and yields what happens. With `out` the run is a folder that `resume` continues
 * bit for bit.
 *
 * @example
 * for await (const event of train({ model: "resnet20", sparsity: 99, epochs: 10 }, await openDataset("digits")))
 *   if (event.type === "epoch") console.log(event.epoch, event.validationAccuracy, event.density);
 */
export async function* train(
  input: TrainConfigInput,
  data: ImageDataset,
  options: TrainOptions = {},
): AsyncGenerator<TrainEvent> {
  const { out, resume = false, keep, saveEvery, stopAfter, signal, callbacks = [], dataSource, device } = options;
  const chosen = useDevice(device);
  const recipe = prepare(input, imageFormat(data), data.train.count);
  const common = {
    ...recipe.fit,
    callbacks: [...recipe.callbacks, ...callbacks],
    saveEvery,
    stopAfter,
    signal,
    device,
  };
  try {
    useConvAlgorithm(recipe.model, recipe.config.conv, chosen.device);
    if (!out) {
      if (resume) throw new EastingError("EASTING_CONFIG", "resume: expected a run folder in out, got none");
      yield* fit(recipe.model, data, common);
      return;
    }
    const receipt = {
      easting: version,
      config: recipe.config as unknown as JsonObject,
      data: {
        ...(dataSource && { source: dataSource }),
        name: data.name,
        note: data.note,
        hash: data.hash,
        train: data.train.count,
        validation: data.validation.count,
        test: data.test.count,
      },
      fullSize: recipe.fullSize,
      machine: {
        device: chosen.reason,
        instructionSet: native.devices().isa,
        node: process.version,
        platform: `${process.platform}-${process.arch}`,
      },
    };
    yield* recordRun(out, { receipt, resume, keep }, (hooks) => fit(recipe.model, data, { ...common, ...hooks }));
  } finally {
    recipe.fit.optimizer.dispose();
    recipe.model.dispose();
  }
}
