import { type Command, Option } from "commander";
import { Loader, type Split } from "../data/index.js";
import { openNetwork } from "../east/index.js";
import { expected } from "../errors.js";
import { nnzOf, prunable } from "../sparse/index.js";
import { type DeviceRequest, threads, useDevice } from "../tensor/index.js";
import { evaluate, resolveCheckpoint } from "../train/index.js";
import { warn } from "./failure.js";
import { count, duration, facts, percent } from "./format.js";
import { deviceOption, wholeNumber } from "./settings.js";
import { describeData, openSource, sameFormat, sourceOf } from "./source.js";

interface Flags {
  readonly data?: string;
  readonly split: Split;
  readonly imageSize?: number;
  readonly batch: number;
  readonly threads?: number;
  readonly device?: DeviceRequest;
  readonly json?: boolean;
}

export function addEvaluate(program: Command): void {
  program
    .command("evaluate")
    .description("measure the accuracy of a run's newest checkpoint, or of one checkpoint")
    .argument("<run|checkpoint>", "run folder or checkpoint file")
    .option("--data <name>", "digits, synthetic, cifar10, cifar100 or a folder (default: what the run was trained on)")
    .addOption(new Option("--split <name>", "images to use").choices(["test", "validation", "train"]).default("test"))
    .option("--image-size <pixels>", "side that images of a folder are scaled to", wholeNumber("--image-size", 1))
    .option("--batch <count>", "images at a time", wholeNumber("--batch", 1), 128)
    .option("--threads <count>", "threads of the kernels (default: all cores)", wholeNumber("--threads", 1))
    .addOption(deviceOption())
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting evaluate runs/first
  easting evaluate runs/first/checkpoints/best.ckpt --split validation
  easting evaluate runs/first --data path/to/other/images --json`,
    )
    .action(runEvaluate);
}

async function runEvaluate(target: string, flags: Flags): Promise<void> {
  const { split, json = false, batch } = flags;
  if (flags.threads) threads(flags.threads);
  const { reason } = useDevice(flags.device);
  const { path, content, warnings } = await resolveCheckpoint(target);
  for (const { message } of warnings) warn(message);
  const { model, images, config, fullSize, step, fit } = openNetwork(content);
  const dataset = await openSource(await sourceOf(target, flags), { quiet: json });
  try {
    sameFormat("evaluate", dataset, images);
    if (dataset[split].count === 0)
      throw expected(`--split ${split}`, "a split with images", `none in ${dataset.name}`);
    // Images are normalised as they were when the network was trained.
    const loader = new Loader({ ...dataset, mean: images.mean, std: images.std }, batch, 0);
    const started = performance.now();
    const { accuracy, loss, count: evaluated } = await evaluate(model, loader, split);
    const seconds = (performance.now() - started) / 1000;
    loader.dispose();
    const nnz = nnzOf(prunable(model.parameters()));
    const density = nnz / fullSize;
    const outcome = { type: "evaluation", checkpoint: path, step, data: dataset.name, note: dataset.note, split };
    const numbers = {
      accuracy,
      loss,
      count: evaluated,
      nnz,
      density,
      device: reason,
      seconds,
      imagesPerSecond: evaluated / seconds,
    };
    if (json) process.stdout.write(`${JSON.stringify({ ...outcome, ...numbers })}\n`);
    else
      process.stdout.write(
        facts([
          ["checkpoint", `${path} (step ${count(step)})`],
          ["network", `${config.model}, ${config.method}`],
          ["weights", `${count(nnz)}, density ${percent(density)}`],
          ["data", describeData(dataset)],
          ["device", reason],
          [`${split} accuracy`, `${percent(accuracy)} of ${count(evaluated)} images`],
          [`${split} loss`, loss.toFixed(4)],
          ["time", `${duration(seconds)}, ${count(evaluated / seconds)} images/s`],
        ]),
      );
  } finally {
    fit.optimizer.dispose();
    model.dispose();
    await dataset.close();
  }
}
