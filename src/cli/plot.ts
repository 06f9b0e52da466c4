import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { plots, readRun, svg } from "../plot/index.js";
import { fileError, replaceFile } from "../train/index.js";
import { usageError } from "./failure.js";
import { someOf } from "./settings.js";

type Kind = keyof typeof plots;

interface Flags {
  readonly what?: readonly Kind[];
  readonly output: string;
  readonly json?: boolean;
}

const kinds = Object.keys(plots) as Kind[];

export function addPlot(program: Command): void {
  program
    .command("plot")
    .description("draw runs as SVG; runs that differ only by their seed are one line with a band")
    .argument("<runs...>", "run folders")
    .option(
      "--what <names>",
      `${kinds.join(", ")}; commas between (default: all that the runs hold)`,
      someOf("--what", kinds),
    )
    .option("-o, --output <folder>", "where to write", "plots")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting plot runs/first
  easting plot runs/east-* runs/rigl-* --what curves,sparsity -o figures

Drawing needs the packages vega and vega-lite: npm install vega vega-lite`,
    )
    .action(run);
}

async function run(folders: readonly string[], { what, output, json = false }: Flags): Promise<void> {
  const runs = await Promise.all(folders.map(readRun));
  const drawn = (what ?? kinds).map((kind) => ({ kind, pictures: plots[kind](runs) }));
  const empty = drawn.filter(({ pictures }) => pictures.length === 0).map(({ kind }) => kind);
  if (what && empty.length > 0)
    throw usageError(`--what ${empty.join(",")}: expected runs that hold it, got none`, needed(empty));
  const files: string[] = [];
  for (const { name, spec } of drawn.flatMap(({ pictures }) => pictures)) {
    const file = join(output, `${name}.svg`);
    const text = await svg(spec);
    try {
      await mkdir(output, { recursive: true });
      await replaceFile(file, Buffer.from(text));
    } catch (error) {
      throw fileError("EASTING_OUTPUT_WRITE", "write", file, error);
    }
    files.push(file);
    if (!json) process.stdout.write(`${file}\n`);
  }
  if (json) process.stdout.write(`${JSON.stringify({ type: "plotted", runs: folders, files })}\n`);
}

/** What a run must have been told to do for these pictures. */
function needed(kinds: readonly Kind[]): string {
  const looked = kinds.filter((kind) => ["pre-activations", "gradient-flow", "histograms"].includes(kind));
  return looked.length > 0 ? `train with --diagnostics ${looked.join(",")}` : "train them further";
}
