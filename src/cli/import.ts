import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { z } from "zod";
import { type ImageFormat, prepare } from "../east/index.js";
import { expected } from "../errors.js";
import { modelNames } from "../models/index.js";
import { decodeSafetensors, importWeights, type SafetensorsContent, usualTensors } from "../pytorch/index.js";
import { nnzOf, prunable } from "../sparse/index.js";
import { captureRun, fileError, readWhole, writeCheckpoint } from "../train/index.js";
import { usageError } from "./failure.js";
import { count, facts, percent } from "./format.js";
import { wholeNumber } from "./settings.js";

interface Flags {
  readonly model?: string;
  readonly classes?: string;
  readonly imageSize?: number;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly output: string;
  readonly json?: boolean;
}

export function addImport(program: Command): void {
  program
    .command("import")
    .description("make a checkpoint from the weights of a ResNet in PyTorch")
    .argument("<file>", "safetensors file with torchvision's names; weights are sparse by masks or zeros")
    .addOption(new Option("--model <name>", "network (default: what the file says)").choices(modelNames))
    .option("--classes <file>", "names of the classes, one a line (default: what the file says, or numbers)")
    .option(
      "--image-size <pixels>",
      "side of the images (default: the file's, or 224, 32)",
      wholeNumber("--image-size", 1),
    )
    .option(
      "--mean <numbers>",
      "of each channel, from 0 to 1, with commas (default: the file's, or ImageNet's)",
      numbers,
    )
    .option("--std <numbers>", "standard deviation of each channel (default: the file's, or ImageNet's)", numbers)
    .option("-o, --output <checkpoint>", "where to write", "imported.ckpt")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting import resnet50.safetensors --model resnet50-imagenet -o resnet50.ckpt
  easting compile resnet50.ckpt -o resnet50.easting`,
    )
    .action(run);
}

function numbers(text: string): number[] {
  const values = text.split(",").map(Number);
  if (values.every((value) => Number.isFinite(value))) return values;
  throw expected("--mean and --std", "numbers with commas between them", text, undefined, "EASTING_USAGE");
}

async function run(path: string, flags: Flags): Promise<void> {
  const { output, json = false } = flags;
  const bytes = await readWhole(path).catch((error) => {
    throw fileError("EASTING_SAFETENSORS", "read", path, error);
  });
  const content = decodeSafetensors(bytes, path);
  const name = flags.model ?? content.metadata.get("model");
  if (!name) throw usageError(`${path}: expected a file that names its network, got one that does not`, "add --model");
  const images = await imagesOf(content, name, flags, path);
  // The method says whether there are masks, and the sparsity how many weights; the file decides both.
  const config = {
    model: name,
    classifierBias: content.tensors.get("fc.bias")?.bytes.some((byte) => byte !== 0) ?? false,
    sparsity: 0,
  };
  const trial = prepare({ ...config, method: "static" }, images, 1);
  importWeights(trial.model, content, path);
  const weights = nnzOf(prunable(trial.model.parameters()));
  const density = weights / trial.fullSize;
  const method = density < 1 ? "static" : "dense";
  const { fit } = prepare({ ...config, method, sparsity: 100 * (1 - density) }, images, 1);
  await writeCheckpoint(output, captureRun(trial.model, fit));
  trial.model.dispose();
  if (json)
    process.stdout.write(
      `${JSON.stringify({ type: "imported", file: path, checkpoint: output, model: name, weights, density })}\n`,
    );
  else
    process.stdout.write(
      facts([
        ["network", `${name}, ${images.classes.length} classes, images of ${images.shape.join(" × ")}`],
        ["weights", `${count(weights)}, density ${percent(density)}`],
        ["written", output],
      ]),
    );
}

/** What the network must know of its images: by the flags, else by what easting wrote into the file, else as for ImageNet. */
async function imagesOf(content: SafetensorsContent, name: string, flags: Flags, path: string): Promise<ImageFormat> {
  const tensors = usualTensors(content);
  const [outputs] = tensors.get("fc.weight")?.shape ?? [];
  const [, channels] = tensors.get("conv1.weight")?.shape ?? [];
  if (!outputs || !channels)
    throw expected(path, "tensors conv1.weight and fc.weight", "none", undefined, "EASTING_SAFETENSORS");
  const stored = storedImages(content);
  const side = flags.imageSize ?? (name.endsWith("-imagenet") ? 224 : 32);
  const images = {
    classes: flags.classes ? await lines(flags.classes) : (stored?.classes ?? numbered(outputs)),
    shape: flags.imageSize || !stored ? ([channels, side, side] as const) : stored.shape,
    mean: flags.mean ?? stored?.mean ?? [0.485, 0.456, 0.406].slice(0, channels),
    std: flags.std ?? stored?.std ?? [0.229, 0.224, 0.225].slice(0, channels),
  };
  if (images.classes.length !== outputs)
    throw expected("import", `${outputs} classes`, images.classes.length, undefined, "EASTING_USAGE");
  for (const key of ["mean", "std"] as const)
    if (images[key].length !== channels)
      throw expected(`--${key}`, `${channels} numbers`, images[key].length, undefined, "EASTING_USAGE");
  if (!images.std.every((value) => value > 0))
    throw expected("--std", "numbers above 0", images.std.join(), undefined, "EASTING_USAGE");
  return images;
}

const extent = z.int().positive();
const imagesSchema = z.object({
  classes: z.array(z.string()),
  shape: z.tuple([extent, extent, extent]),
  mean: z.array(z.number()),
  std: z.array(z.number()),
});

function storedImages({ metadata }: SafetensorsContent): ImageFormat | null {
  try {
    return imagesSchema.parse(JSON.parse(metadata.get("images") ?? "null"));
  } catch {
    return null; // none, or another program's word for something else
  }
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => String(i));

const lines = async (path: string) => {
  const text = await readFile(path, "utf8").catch((error) => {
    throw fileError("EASTING_USAGE", "read", path, error);
  });
  return text.trimEnd().split(/\r?\n/);
};
