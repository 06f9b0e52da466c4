import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import {
  type Cell,
  cellOf,
  expandGrid,
  extendManifest,
  manifestPath,
  type OpenedData,
  openData,
  readManifest,
  runCell,
  slurmScript,
  sweepStatus,
} from "../experiments/index.js";
import { threads as useThreads } from "../tensor/index.js";
import { board } from "./board.js";
import { runCells } from "./cells.js";
import { INTERRUPTED, usageError } from "./failure.js";
import { watchInterrupt } from "./interrupt.js";
import { wholeNumber } from "./settings.js";

export function addSweep(program: Command): void {
  const sweep = program.command("sweep").description("run a grid of settings; resumable, in any number of processes");
  sweep
    .command("plan")
    .description("write the cells of a grid to <folder>/sweep.jsonl; cells that are there already stay")
    .argument("<grid>", "JSON file: settings of easting train in camelCase, data, validation; lists are multiplied out")
    .requiredOption("-o, --out <folder>", "folder of the sweep")
    .action(plan);
  sweep
    .command("run")
    .description("run the cells that are not done, resuming those that were stopped")
    .argument("<folder>", "folder of the sweep")
    .option("--jobs <count>", "processes at a time", wholeNumber("--jobs", 1), 1)
    .option("--cell <cell>", "this cell only, in this process: its number from 0, or its id")
    .option("--threads <count>", "threads of each process (default: the cores shared out)", wholeNumber("--threads", 1))
    .action(async (folder: string, flags: RunFlags) => {
      process.exitCode = await (flags.cell === undefined ? runAll(folder, flags) : runOne(folder, flags.cell, flags));
    });
  sweep
    .command("status")
    .description("list the cells of a sweep and where they stand")
    .argument("<folder>", "folder of the sweep")
    .option("--json", "write one JSON object per cell to stdout and nothing else")
    .action(status);
  sweep
    .command("submit")
    .description("print the script that a cluster runs the open cells by")
    .argument("<folder>", "folder of the sweep, on a disk that all machines share")
    .option("--engine <name>", "scheduler: slurm", "slurm")
    .option("--jobs <count>", "cells at a time", wholeNumber("--jobs", 1), 16)
    .action(submit);
  sweep.addHelpText(
    "after",
    `
Examples:
  easting sweep plan grid.json -o sweeps/first
  easting sweep run sweeps/first --jobs 2
  easting sweep status sweeps/first
  easting sweep submit sweeps/first | sbatch

grid.json: { "model": "resnet20", "method": ["rigl", "east"], "sparsity": [99, 99.9], "seed": [1, 2, 3] }
Processes on several machines may run the same sweep: a cell belongs to one of them at a time. What was killed is
resumed from its newest checkpoint, and a cell that is done is never run again.
Exit codes of run: 0 all done, 1 some failed, 75 stopped, or other processes have the rest`,
  );
}

interface RunFlags {
  readonly jobs: number;
  readonly cell?: string;
  readonly threads?: number;
}

async function plan(path: string, { out }: { readonly out: string }): Promise<void> {
  const points = expandGrid(await readJson(path), path);
  const opened = new Map<string, OpenedData>();
  const cells: Cell[] = [];
  for (const { config, source } of points) {
    const key = JSON.stringify(source);
    const data = opened.get(key) ?? (await openData(source));
    opened.set(key, data);
    cells.push(cellOf(config, data));
  }
  const different = new Set(cells.map(({ id }) => id)).size;
  const { cells: all, added } = await extendManifest(out, cells);
  const same = different < points.length ? ` of ${points.length} combinations` : "";
  process.stdout.write(
    `${different} cells${same}, ${added} of them new, ${all.length} in all: ${manifestPath(out)}\n` +
      `easting sweep run ${out}\n`,
  );
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw usageError(`grid: expected a readable JSON file, got ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usageError(`${path}: expected JSON, got something else (${(error as Error).message})`);
  }
}

async function runAll(folder: string, flags: RunFlags): Promise<number> {
  return runCells(folder, await readManifest(folder), flags);
}

/** One cell in this process, for schedulers; the process that began it may be gone, and then it stops as well. */
async function runOne(folder: string, name: string, { threads }: RunFlags): Promise<number> {
  const cell = find(await readManifest(folder), folder, name);
  if (threads) useThreads(threads);
  using interrupt = watchInterrupt(() => process.stderr.write("stopping after this step\n"));
  const alone = new AbortController();
  process.once("disconnect", () => alone.abort());
  process.channel?.unref();
  const signal = AbortSignal.any([interrupt.signal, alone.signal]);
  const outcome = await runCell(folder, cell, { signal });
  process.stdout.write(`${cell.id} ${outcome}\n`);
  return outcome === "done" ? 0 : INTERRUPTED;
}

function find(cells: readonly Cell[], folder: string, name: string): Cell {
  const found = cells.find(({ id }) => id === name) ?? (/^\d{1,8}$/.test(name) ? cells[Number(name)] : undefined);
  if (found) return found;
  throw usageError(`--cell: expected a number from 0 to ${cells.length - 1} or an id of ${folder}, got ${name}`);
}

async function status(folder: string, { json }: { readonly json?: boolean }): Promise<void> {
  const statuses = await sweepStatus(folder, await readManifest(folder));
  if (json) process.stdout.write(statuses.map((line) => `${JSON.stringify(line)}\n`).join(""));
  else process.stdout.write(board(statuses));
}

async function submit(
  folder: string,
  { engine, jobs }: { readonly engine: string; readonly jobs: number },
): Promise<void> {
  if (engine !== "slurm") throw usageError(`--engine: expected slurm, got ${engine}`);
  const statuses = await sweepStatus(folder, await readManifest(folder));
  if (statuses.every(({ state }) => state === "done")) throw usageError(`${folder}: expected open cells, got none`);
  process.stdout.write(slurmScript(folder, statuses, jobs, "easting"));
}
