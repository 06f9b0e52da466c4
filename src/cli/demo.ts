import { basename, extname } from "node:path";
import type { Command } from "commander";
import { decodeModel } from "../compile/index.js";
import { demoPage } from "../demo/index.js";
import { expected } from "../errors.js";
import { fileError, readWhole, replaceFile } from "../train/index.js";
import { bytes, facts } from "./format.js";

interface Flags {
  readonly output?: string;
  readonly title?: string;
  readonly pictures?: readonly string[];
  readonly json?: boolean;
}

export function addDemo(program: Command): void {
  program
    .command("demo")
    .description("make a page that classifies photos and shows the network's connections")
    .argument("<model>", "model file, as easting compile writes it")
    .option("-o, --output <file>", "where to write (default: the model's name with .html)")
    .option("--title <text>", "heading of the page (default: the model's name)")
    .option("--pictures <files...>", "JPEG, PNG or WebP files to choose from in the page")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting demo first.easting
  easting demo first.easting --title "Ten kinds of things" --pictures cat.jpg ship.jpg -o demo.html

The page is one file that works without a network: open it in any browser, or put it on any web server.`,
    )
    .action(run);
}

async function run(model: string, { output, title, pictures = [], json = false }: Flags): Promise<void> {
  const file = await read(model, "EASTING_MODEL_FILE");
  const graph = decodeModel(file, model);
  const name = basename(model, extname(model));
  const page = await demoPage(graph, {
    title: title ?? name,
    modelBytes: file.length,
    pictures: await Promise.all(pictures.map(picture)),
  });
  const to = output ?? `${name}.html`;
  const content = Buffer.from(page);
  await replaceFile(to, content).catch((error) => {
    throw fileError("EASTING_OUTPUT_WRITE", "write", to, error);
  });
  if (json) process.stdout.write(`${JSON.stringify({ type: "demo", model, file: to, bytes: content.length })}\n`);
  else
    process.stdout.write(facts([["written", `${to}, ${bytes(content.length)}, of them ${bytes(file.length)} model`]]));
}

const read = (path: string, code: string) =>
  readWhole(path).catch((error) => {
    throw fileError(code, "read", path, error);
  });

const types: { readonly [ending: string]: string } = {
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".png": "image/png",
  ".webp": "image/webp",
};

async function picture(path: string) {
  const type = types[extname(path).toLowerCase()];
  if (!type) throw expected("--pictures", Object.keys(types).join(", "), path, undefined, "EASTING_USAGE");
  const content = await read(path, "EASTING_USAGE");
  return { name: basename(path, extname(path)), url: `data:${type};base64,${content.toString("base64")}` };
}
