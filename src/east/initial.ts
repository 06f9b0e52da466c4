import type { TrainContext } from "../train/index.js";
import type { TrainConfigInput } from "./config.js";
import { type ImageFormat, prepare, type Recipe } from "./recipe.js";

/** A network as it is before its first step, with its first topology; methods that score by data cannot be had this way. */
export async function initialNetwork(input: TrainConfigInput, images: ImageFormat): Promise<Recipe> {
  const recipe = prepare(input, images, 1);
  const { model, fit } = recipe;
  const context: TrainContext = {
    model,
    optimizer: fit.optimizer,
    parameters: () => model.parameters(),
    steps: 1,
    stepsPerEpoch: 1,
    imageShape: images.shape,
    loader: null,
    resuming: false,
    learningRate: 0,
    emit() {},
  };
  for (const callback of recipe.callbacks) await callback.onStart?.(context);
  return recipe;
}
