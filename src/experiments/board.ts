import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type EndEvent, type EpochEvent, readEvents } from "../train/index.js";
import { type Cell, describeCell } from "./cell.js";
import { holder } from "./claim.js";
import { runFolder } from "./manifest.js";
import { claimsFolder, type Failure, failurePath, isDone } from "./worker.js";

/** `stopped`: begun and not at work, to be resumed. */
export type CellState = "waiting" | "running" | "stopped" | "failed" | "done";

/** Where a cell stands, read from its folder alone. */
export interface CellStatus {
  readonly id: string;
  readonly cell: string;
  readonly state: CellState;
  readonly run: string;
  /** Epochs finished, and of how many. */
  readonly epoch: number;
  readonly epochs: number;
  /** Of the test images once done, before that of the validation images; null if there is none yet. */
  readonly accuracy: number | null;
  /** Since the last sign of life. */
  readonly seconds: number | null;
  /** Why it failed. */
  readonly message?: string;
}

export async function cellStatus(sweep: string, cell: Cell): Promise<CellStatus> {
  const run = runFolder(sweep, cell.id);
  const { epochs } = cell.config;
  const common = { id: cell.id, cell: describeCell(cell), run, epochs };
  if (await isDone(run, cell)) {
    const { testAccuracy } = await readJson<EndEvent>(join(run, "result.json"));
    return { ...common, state: "done", epoch: epochs, accuracy: testAccuracy, seconds: await age(run, "done.json") };
  }
  const failure = await readJson<Failure>(failurePath(run)).catch(() => null);
  const at = await holder(claimsFolder(run));
  const events = await readEvents(run).catch(() => []);
  const last = events.findLast(({ type }) => type === "epoch") as EpochEvent | undefined;
  const begun = events.length > 0;
  return {
    ...common,
    state: at ? "running" : failure ? "failed" : begun ? "stopped" : "waiting",
    epoch: last?.epoch ?? 0,
    accuracy: last?.validationAccuracy ?? null,
    seconds: begun ? await age(run, "events.jsonl") : null,
    ...(failure && !at && { message: failure.message }),
  };
}

export async function sweepStatus(sweep: string, cells: readonly Cell[]): Promise<CellStatus[]> {
  const statuses: CellStatus[] = [];
  for (const cell of cells) statuses.push(await cellStatus(sweep, cell)); // event logs may be large: one at a time
  return statuses;
}

const readJson = async <T>(path: string) => JSON.parse(await readFile(path, "utf8")) as T;

async function age(run: string, name: string): Promise<number | null> {
  const found = await stat(join(run, name)).catch(() => null);
  return found && Math.max(0, (Date.now() - found.mtimeMs) / 1000);
}
