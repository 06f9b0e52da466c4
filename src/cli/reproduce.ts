import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { absoluteSource, type DataSource } from "../data/index.js";
import { EastingError, expected } from "../errors.js";
import { extendManifest, sweepStatus } from "../experiments/index.js";
import { svg } from "../plot/index.js";
import {
  accuracyReport,
  collectRows,
  type Entry,
  type EntryRuns,
  type Experiment,
  type ExperimentName,
  entryKey,
  experimentNames,
  experiments,
  figureOf,
  printed,
  type Report,
  resolveRuns,
  selectEntries,
  table2,
  table2Report,
} from "../reproduce/index.js";
import { fileError, replaceFile } from "../train/index.js";
import { board } from "./board.js";
import { runCells } from "./cells.js";
import { usageError, warn } from "./failure.js";
import { wholeNumber } from "./settings.js";

interface Flags {
  readonly cells?: string;
  readonly epochs?: number;
  readonly seeds: number;
  readonly data?: readonly string[];
  readonly out: string;
  readonly jobs: number;
  readonly threads?: number;
  readonly report?: boolean;
  readonly dryRun?: boolean;
}

const names = [...experimentNames, "table2"].sort();

export function addReproduce(program: Command): void {
  program
    .command("reproduce")
    .description("train a table or figure of the paper and print it beside the paper's values")
    .argument("<what>", names.join(", "))
    .option("--cells <patterns>", "cells: network/data/sparsity/method, * for all, commas between (default: all)")
    .option("--epochs <count>", "epochs of every run (default: the published number)", wholeNumber("--epochs", 1))
    .option("--seeds <count>", "runs per cell, with seeds from 1 on", wholeNumber("--seeds", 1), 3)
    .option("--data <folder...>", "where the images lie; <name>=<folder> where cells name several data sets")
    .option("-o, --out <folder>", "folder for runs and reports", join("runs", "reproduce"))
    .option("--jobs <count>", "processes at a time", wholeNumber("--jobs", 1), 1)
    .option("--threads <count>", "threads of each process (default: the cores shared out)", wholeNumber("--threads", 1))
    .option("--report", "write the table of the runs that are done, train nothing")
    .option("--dry-run", "list the runs and what is done, train nothing")
    .addHelpText(
      "after",
      `
Examples:
  easting reproduce table2
  easting reproduce table1 --cells 'resnet34/cifar10/99.9*' --data cifar10=path/to/cifar10 --dry-run
  easting reproduce table1 --cells resnet20/cifar10/99.9 --epochs 10 --seeds 2 --data path/to/cifar10
  easting reproduce figure2 --cells '*/cifar10'

Writes <what>.md, .csv, .tex and .svg. Runs that are done are not run again, also where another table has them; what was
stopped or killed is resumed by the same command, or by easting sweep run on the folder.`,
    )
    .action(async (what: string, flags: Flags) => {
      if (!names.includes(what))
        throw expected("reproduce", `one of ${names.join(", ")}`, what, undefined, "EASTING_USAGE");
      const command = `easting ${process.argv.slice(2).map(quoted).join(" ")}`;
      process.exitCode =
        what === "table2" ? await compute(command, flags) : await train(what as ExperimentName, command, flags);
    });
}

async function compute(command: string, { out, cells, dryRun }: Flags): Promise<number> {
  if (cells) throw usageError("--cells: expected a table that is trained, got table2, which is computed");
  if (dryRun) process.stdout.write("table2 is computed: nothing to train\n");
  else await write(out, "table2", table2Report(command, await table2()), null);
  return 0;
}

async function train(what: ExperimentName, command: string, flags: Flags): Promise<number> {
  const experiment: Experiment = experiments[what];
  const entries = selectEntries(experiment, flags.cells);
  const sources = dataSources(entries, flags.data ?? []);
  const runs = await resolveRuns(experiment, entries, { ...flags, sources }).catch((error) => {
    if (!flags.dryRun || !(error instanceof EastingError && /^EASTING_DATA_/.test(error.code))) throw error;
    for (const entry of entries) process.stdout.write(`${entryKey(entry)}, seeds 1 to ${flags.seeds}\n`);
    warn(`what is done cannot be told without the images: ${error.message}`);
    return null;
  });
  if (!runs) return 0;
  const all = new Map(runs.flatMap(({ cells }) => cells).map((cell) => [cell.id, cell]));
  const cells = [...all.values()];
  if (flags.dryRun) {
    process.stdout.write(board(await sweepStatus(flags.out, cells)));
    return 0;
  }
  await extendManifest(flags.out, cells);
  const code = flags.report ? 0 : await runCells(flags.out, cells, flags);
  await report(experiment, command, flags.out, runs);
  return code;
}

async function report(experiment: Experiment, command: string, out: string, runs: readonly EntryRuns[]): Promise<void> {
  const rows = await collectRows(out, experiment, runs);
  const { spec, remarks } = await figureOf(out, experiment, runs, rows);
  const picture = spec && (await svg(spec).catch((error) => warn(`no picture: ${error.message}`)));
  await write(out, experiment.name, accuracyReport(experiment.title, command, rows, remarks), picture ?? null);
}

/** Writes the report in every format and prints it. */
async function write(out: string, name: string, report: Report, picture: string | null): Promise<void> {
  const files = new Map([...printed(report), ...(picture ? [["svg", picture] as const] : [])]);
  await mkdir(out, { recursive: true });
  for (const [ending, text] of files) {
    const path = join(out, `${name}.${ending}`);
    await replaceFile(path, Buffer.from(text)).catch((error) => {
      throw fileError("EASTING_OUTPUT_WRITE", "write", path, error);
    });
  }
  const endings = [...files.keys()].join(", .");
  process.stdout.write(`\n${files.get("md")}\nwritten: ${join(out, name)}.${endings}\n`);
}

/** Folders by the names of data sets in cells. */
function dataSources(entries: readonly Entry[], given: readonly string[]): ReadonlyMap<string, DataSource> {
  const used = [...new Set(entries.map(({ data }) => data))];
  const sources = given.map((text): [string, DataSource] => {
    const [name, folder] = used.some((name) => text.startsWith(`${name}=`))
      ? [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]
      : [used.length === 1 ? used[0] : null, text];
    if (!name || !folder)
      throw usageError(`--data: expected <name>=<folder> with a name among ${used.join(", ")}, got ${text}`);
    return [name, { from: absoluteSource(folder), validation: "split" }];
  });
  return new Map(sources);
}

const quoted = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
