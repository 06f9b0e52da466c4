import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Command, Option } from "commander";
import { epochsCsv, layersCsv, type Run, readRun, tensorboard } from "../plot/index.js";
import { fileError, replaceFile } from "../train/index.js";
import { usageError } from "./failure.js";

interface Flags {
  readonly format: keyof typeof formats;
  readonly output: string;
  readonly json?: boolean;
}

/** Files of a run by format. */
const formats = {
  tensorboard: (run: Run) => ({ [`events.out.tfevents.${run.begun}.easting`]: tensorboard(run) }),
  csv: (run: Run) => ({ "epochs.csv": Buffer.from(epochsCsv(run)), "layers.csv": Buffer.from(layersCsv(run)) }),
} as const satisfies Record<string, (run: Run) => Record<string, Uint8Array>>;

export function addExport(program: Command): void {
  program
    .command("export")
    .description("write what happened in runs as TensorBoard event files or as CSV")
    .argument("<runs...>", "run folders")
    .addOption(new Option("--format <name>", "kind of files").choices(Object.keys(formats)).makeOptionMandatory())
    .option("-o, --output <folder>", "where to write, a folder for each run", "export")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting export runs/first --format csv -o tables
  easting export runs/* --format tensorboard -o board && tensorboard --logdir board`,
    )
    .action(run);
}

async function run(folders: readonly string[], { format, output, json = false }: Flags): Promise<void> {
  const runs = await Promise.all(folders.map(readRun));
  const twice = runs.find(({ name }, i) => runs.findIndex((other) => other.name === name) !== i);
  if (twice) throw usageError(`export: expected folders of different names, got two called ${twice.name}`);
  const files: string[] = [];
  for (const run of runs)
    for (const [name, content] of Object.entries<Uint8Array>(formats[format](run))) {
      const file = join(output, run.name, name);
      try {
        await mkdir(dirname(file), { recursive: true });
        await replaceFile(file, content);
      } catch (error) {
        throw fileError("EASTING_OUTPUT_WRITE", "write", file, error);
      }
      files.push(file);
      if (!json) process.stdout.write(`${file}\n`);
    }
  if (json) process.stdout.write(`${JSON.stringify({ type: "exported", format, runs: folders, files })}\n`);
}
