import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Argument, type Command } from "commander";
import {
  type CifarKind,
  type DataReport,
  dataRoot,
  datasetNames,
  downloadCifar,
  verifyDataset,
} from "../data/index.js";
import { INTERRUPTED } from "./failure.js";
import { count, facts, table } from "./format.js";
import { watchInterrupt } from "./interrupt.js";
import { wholeNumber } from "./settings.js";
import { dataProgress } from "./source.js";

interface VerifyFlags {
  readonly imageSize?: number;
  readonly json?: boolean;
}

export function addData(program: Command): void {
  const data = program
    .command("data")
    .description("list, download and verify data sets")
    .helpCommand(false)
    .addHelpText(
      "after",
      `
Examples:
  easting data list
  easting data download cifar10
  easting data verify path/to/images

EASTING_DATA names the folder of downloaded data; now ${dataRoot()}`,
    );
  data.command("list").description("list the data sets known by name").action(list);
  data
    .command("download")
    .description("fetch CIFAR from its author's site; goes on where it stopped, and checks the SHA-256")
    .addArgument(new Argument("<name>", "data set").choices(["cifar10", "cifar100"]))
    .option("--to <folder>", "where to keep it (default: the folder where --data finds it by name)")
    .action(download);
  data
    .command("verify")
    .description("read a whole data set from its files, check it and count its images")
    .argument("<name|folder>", "digits, synthetic, cifar10, cifar100 or a folder")
    .option("--image-size <pixels>", "side that images of a folder are scaled to", wholeNumber("--image-size", 1))
    .option("--json", "write one JSON object to stdout and nothing else")
    .action(verify);
}

function list(): void {
  const where = (name: string) => {
    if (name === "digits") return "in the package: 8 × 8 handwritten digits, 10 classes";
    if (name === "synthetic") return "made on the fly: coloured patterns, 10 classes";
    const folder = join(dataRoot(), name);
    return existsSync(folder) ? folder : `not there; easting data download ${name}`;
  };
  process.stdout.write(
    facts([...datasetNames.map((name) => [name, where(name)] as const), ["<folder>", "images by class"]]),
  );
}

async function download(name: CifarKind, { to }: { to?: string }): Promise<void> {
  const folder = resolve(to ?? join(dataRoot(), name));
  using interrupt = watchInterrupt(() => process.stderr.write("\nstopping; the same command goes on from here\n"));
  const progress = dataProgress(false);
  try {
    const place = await downloadCifar(name, folder, { onProgress: progress.show, signal: interrupt.signal });
    progress.stop();
    process.stdout.write(`${place}\ntrain on it with: easting train --data ${to ? place : name}\n`);
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.exitCode = INTERRUPTED;
  } finally {
    progress.stop();
  }
}

async function verify(from: string, { imageSize, json = false }: VerifyFlags): Promise<void> {
  const progress = dataProgress(json);
  try {
    const report = await verifyDataset(from, { onProgress: progress.show, ...(imageSize && { size: imageSize }) });
    progress.stop();
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : print(report));
  } finally {
    progress.stop();
  }
}

function print({ name, note, shape, classes, counts, classCounts, hash }: DataReport): string {
  const rows = classes.map((label, i) => [
    label,
    ...(["train", "validation", "test"] as const).map((split) => count(classCounts[split][i])),
  ]);
  const total = ["all", count(counts.train), count(counts.validation), count(counts.test)];
  const head = facts([
    ["data", `${name}${note ? ` (${note})` : ""}`],
    ["images", `${shape.join(" × ")}, ${classes.length} classes`],
    ["SHA-256", hash],
  ]);
  return `${head}\n${table(["class", "train", "validation", "test"], [...rows, total], [0])}`;
}
