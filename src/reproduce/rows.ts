import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Cell, isDone, runFolder } from "../experiments/index.js";
import type { EndEvent } from "../train/index.js";
import type { Experiment } from "./experiment.js";
import type { Published } from "./paper.js";
import type { EntryRuns } from "./runs.js";
import { entryKey } from "./select.js";

export interface Statistics {
  readonly n: number;
  readonly mean: number;
  /** Of the sample (n − 1); null for a single run. */
  readonly std: number | null;
}

/** One cell of a table: the paper's value beside ours, and where ours comes from. */
export interface Row {
  readonly model: string;
  readonly data: string;
  readonly sparsity: number;
  readonly method: string;
  readonly label: string;
  readonly paper: Published | null;
  /** Test accuracy after the last epoch in percent; null while no run is done. */
  readonly ours: Statistics | null;
  /** Accuracy of each run that is done, by seed. */
  readonly values: readonly number[];
  /** Runs asked for. */
  readonly wanted: number;
  /** Ids of the runs that are done. */
  readonly runs: readonly string[];
  /** What was not as in the paper. */
  readonly differs: readonly string[];
}

/** Difference of the means, in points; null where one is missing. */
export const difference = ({ paper, ours }: Row) => (paper && ours ? ours.mean - paper.mean : null);

export function statistics(values: readonly number[]): Statistics | null {
  const n = values.length;
  if (n === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n, mean, std: n > 1 ? Math.sqrt(squares / (n - 1)) : null };
}

interface FinishedRun {
  readonly id: string;
  readonly accuracy: number;
  readonly receipt: Receipt;
}

interface Receipt {
  readonly easting: string;
  readonly config: { readonly epochs: number };
  readonly data: { readonly note: string | null };
  readonly machine: { readonly device: string };
}

/** What the runs of each entry came to. */
export async function collectRows(sweep: string, experiment: Experiment, all: readonly EntryRuns[]): Promise<Row[]> {
  return Promise.all(
    all.map(async ({ entry, cells }) => {
      const finished = (await Promise.all(cells.map((cell) => finishedRun(sweep, cell)))).filter((run) => run !== null);
      const values = finished.map(({ accuracy }) => 100 * accuracy);
      const { model, data, sparsity, method } = entry;
      const paper = experiment.paper.get(entryKey(entry)) ?? null;
      const common = { model, data, sparsity, method: method.name, label: method.label };
      const published = method.epochs ?? experiment.epochs;
      const differs = differences(finished, published, paper !== null);
      const runs = finished.map(({ id }) => id);
      return { ...common, paper, ours: statistics(values), values, wanted: cells.length, runs, differs };
    }),
  );
}

async function finishedRun(sweep: string, cell: Cell): Promise<FinishedRun | null> {
  const run = runFolder(sweep, cell.id);
  if (!(await isDone(run, cell))) return null;
  const [{ testAccuracy }, receipt] = await Promise.all([
    readJson<EndEvent>(join(run, "result.json")),
    readJson<Receipt>(join(run, "receipt.json")),
  ]);
  return { id: cell.id, accuracy: testAccuracy, receipt };
}

const readJson = async <T>(path: string) => JSON.parse(await readFile(path, "utf8")) as T;

/** By the receipts of the runs; the paper: three runs on an A100, on the original images. */
function differences(runs: readonly FinishedRun[], epochs: number | null, published: boolean): string[] {
  if (runs.length === 0) return [];
  const all = <T>(of: (receipt: Receipt) => T) => [...new Set(runs.map(({ receipt }) => of(receipt)))];
  const notes = all(({ data }) => data.note).filter((note) => note !== null);
  const trained = all(({ config }) => config.epochs);
  const devices = all(({ machine }) => machine.device.replace(/, \d+ threads.*| \((no GPU|cuda:).*/g, ""));
  return [
    ...(published ? [] : ["no such number in the paper"]),
    ...(epochs === null ? [`${trained.join(", ")} epochs, the paper does not say how many`] : []),
    ...(epochs !== null && trained.some((count) => count !== epochs)
      ? [`${trained.join(", ")} epochs instead of ${epochs}`]
      : []),
    ...(runs.length !== 3 ? [`${runs.length} run${runs.length === 1 ? "" : "s"} instead of 3`] : []),
    ...notes,
    ...devices.map((device) => `on ${device} instead of an A100`),
  ];
}
