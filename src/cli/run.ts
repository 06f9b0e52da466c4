import type { Command } from "commander";
import { readImage } from "../data/index.js";
import { load } from "../inference/index.js";
import { percent } from "./format.js";
import { wholeNumber } from "./settings.js";

interface Flags {
  readonly top: number;
  readonly json?: boolean;
}

export function addRun(program: Command): void {
  program
    .command("run")
    .description("classify images with a compiled network")
    .argument("<model>", "model file, as easting compile writes it")
    .argument("<images...>", "JPEG, PNG or other image files; scaled and cropped as test images are")
    .option("--top <count>", "how many classes to print of each", wholeNumber("--top", 1), 5)
    .option("--json", "write one JSON object per image to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting run model.easting photo.jpg
  easting run model.easting photos/*.png --top 1 --json`,
    )
    .action(run);
}

async function run(path: string, images: readonly string[], { top, json = false }: Flags): Promise<void> {
  using network = await load(path);
  for (const image of images) {
    const pixels = await readImage(image, network.image.shape);
    const [result] = await network.run(pixels, { layout: "chw", top });
    if (json) {
      const { label, index, probability, top } = result;
      process.stdout.write(`${JSON.stringify({ type: "classification", image, label, index, probability, top })}\n`);
      continue;
    }
    const width = Math.max(...result.top.map(({ label }) => label.length));
    const lines = result.top.map(({ label, probability }) => `  ${label.padEnd(width)}  ${percent(probability)}\n`);
    process.stdout.write(`${image}\n${lines.join("")}`);
  }
}
