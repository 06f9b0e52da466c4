import type { Command } from "commander";
import { type ImageFormat, initialNetwork, openNetwork, type Recipe, resolveConfig } from "../east/index.js";
import { type LayerSummary, type NetworkSummary, summarize } from "../sparse/index.js";
import { resolveCheckpoint } from "../train/index.js";
import { usageError, warn } from "./failure.js";
import { bytes, count, facts, millions, percent, table } from "./format.js";
import { addSettings, givenSettings, wholeNumber } from "./settings.js";

interface Flags {
  readonly imageSize?: number;
  readonly classes?: number;
  readonly channels?: number;
  readonly json?: boolean;
}

export function addSummary(program: Command): void {
  const command = program
    .command("summary")
    .description("list a network's layers with weights, MACs and bytes, of a run or before one")
    .argument("[run|checkpoint]", "run folder or checkpoint file; without it a fresh network is built");
  addSettings(command, ["model", "method", "sparsity", "seed", "distribution", "ensureLive", "dyrelu", "shareRatio"]);
  command
    .option(
      "--image-size <pixels>",
      "side of the images (default: 32, ImageNet's networks 224)",
      wholeNumber("--image-size", 1),
    )
    .option("--channels <count>", "channels of the images (default: 3)", wholeNumber("--channels", 1))
    .option("--classes <count>", "classes (default: 10, ImageNet's networks 1000)", wholeNumber("--classes", 1))
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting summary --model resnet34 --sparsity 99.9
  easting summary --model resnet50 --method rigl --classes 100 --json
  easting summary runs/first

MACs per image: a convolution counts its existing weights times the pixels of its output, a linear layer its
existing weights; every use of a shared weight counts; normalisation and activations do not.`,
    )
    .action((target: string | undefined, flags: Flags) => runSummary(command, target, flags));
}

async function runSummary(command: Command, target: string | undefined, flags: Flags): Promise<void> {
  const { recipe, images, from } = await (target ? opened(command, target, flags) : built(command, flags));
  const { config, model, fit } = recipe;
  try {
    const summary = summarize(model, images.shape);
    const facts = {
      ...from,
      model: config.model,
      method: config.method,
      sparsity: config.sparsity,
      image: images.shape,
    };
    if (flags.json)
      process.stdout.write(`${JSON.stringify({ ...facts, classes: images.classes.length, ...summary })}\n`);
    else process.stdout.write(print(recipe, images, summary));
  } finally {
    fit.optimizer.dispose();
    model.dispose();
  }
}

interface Subject {
  readonly recipe: Recipe;
  readonly images: ImageFormat;
  readonly from: object;
}

async function opened(command: Command, target: string, { imageSize, classes, channels }: Flags): Promise<Subject> {
  if (Object.keys(givenSettings(command)).length > 0 || imageSize || classes || channels)
    throw usageError("summary: expected a run or the flags of a fresh network, got both");
  const { path, content, warnings } = await resolveCheckpoint(target);
  for (const { message } of warnings) warn(message);
  const network = openNetwork(content);
  return { recipe: network, images: network.images, from: { checkpoint: path, step: network.step } };
}

async function built(command: Command, { imageSize, classes, channels = 3 }: Flags): Promise<Subject> {
  const config = resolveConfig(givenSettings(command));
  const large = config.model.endsWith("-imagenet");
  const side = imageSize ?? (large ? 224 : 32);
  const images: ImageFormat = {
    classes: Array.from({ length: classes ?? (large ? 1000 : 10) }, (_, i) => String(i)),
    shape: [channels, side, side],
    mean: new Array(channels).fill(0),
    std: new Array(channels).fill(1),
  };
  return { recipe: await initialNetwork(config, images), images, from: {} };
}

function print({ config }: Recipe, { shape, classes }: ImageFormat, summary: NetworkSummary): string {
  const heading = [
    "layer",
    "weight",
    "output",
    "weights",
    "exist",
    "density",
    "live",
    "dense MACs",
    "MACs",
    "bytes",
    "uses",
  ];
  const { prunable, owned, nnz, density, live, liveLogits, batchNormParameters, dyreluParameters } = summary;
  const totals: [string, string][] = [
    ["network", `${config.model}, ${config.method}, images of ${shape.join(" × ")}, ${classes.length} classes`],
    [
      "prunable weights",
      count(prunable) + (owned < prunable ? `, ${count(owned)} of them stored, the rest shared` : ""),
    ],
    ["existing", `${count(nnz)}, density ${percent(density)}, sparsity ${percent(1 - density)}`],
    [
      "live",
      `${count(live)} on a path from image to logit; ${liveLogits} of ${classes.length} logits depend on the image`,
    ],
    ["BatchNorm", `${count(batchNormParameters)} parameters`],
  ];
  if (dyreluParameters > 0)
    totals.push([
      "DyReLU",
      `${count(dyreluParameters)} parameters, ${millions(summary.dyreluMacs)} MACs, gone after training`,
    ]);
  if (summary.transformMacs > 0) totals.push(["cosine transforms", `${millions(summary.transformMacs)} MACs besides`]);
  if (summary.otherParameters > 0) totals.push(["scales, biases", `${count(summary.otherParameters)} parameters`]);
  totals.push(["MACs per image", `${millions(summary.macs)} of ${millions(summary.denseMacs)}`]);
  totals.push(["bytes of weights", `${bytes(summary.bytes)} of ${bytes(summary.denseBytes)}`]);
  return `${table(heading, summary.layers.map(row), [0, 1, 2, 10])}\n${facts(totals)}`;
}

function row(layer: LayerSummary): string[] {
  const { name, shape, output, weights, nnz, live, denseMacs, macs, sharedFrom } = layer;
  return [
    name,
    shape.join("×"),
    output.join("×"),
    count(weights),
    count(nnz),
    percent(nnz / weights),
    count(live),
    millions(denseMacs),
    millions(macs),
    sharedFrom ? "" : bytes(layer.bytes),
    sharedFrom?.replace(/\.weight$/, "") ?? "",
  ];
}
