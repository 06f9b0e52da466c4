import { join } from "node:path";
import { type TrainConfigInput, type TrainOptions, train } from "../../src/east/index.js";
import { collect, fewDigits, only, temporaryFolders } from "../train/tiny.js";

const folder = temporaryFolders();
const data = fewDigits(32); // 4 steps per epoch
const config: TrainConfigInput = {
  ...{ model: "resnet20", method: "east", sparsity: 95, epochs: 6, batch: 8, seed: 5 },
  ...{ cycleUpdateEvery: 3, updateEvery: 5 },
};

/** Some steps of EAST with a ResNet-20, on CUDA unless `options` say otherwise; weights move after steps 3 and 6. */
export async function run(options: TrainOptions) {
  const out = options.out ?? folder();
  const events = await collect(train(config, data, { device: "cuda", ...options, out }));
  const losses = only(events, "step").map(({ loss }) => loss);
  return { out, events, losses, checkpoint: (step: number) => join(out, "checkpoints", checkpointName(step)) };
}

const checkpointName = (step: number) => `step-${String(step).padStart(8, "0")}.ckpt`;
