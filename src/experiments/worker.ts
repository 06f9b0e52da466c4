import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { openDataSource } from "../data/index.js";
import { train } from "../east/index.js";
import { EastingError } from "../errors.js";
import { diagnostics } from "../sparse/index.js";
import { fileError, replaceFile, type TrainEvent } from "../train/index.js";
import { version } from "../version.js";
import { type Cell, cellId, dataOf } from "./cell.js";
import { claim, type Lease } from "./claim.js";
import { runFolder } from "./manifest.js";

/** `held`: another process works on the cell; `interrupted`: saved, and to be resumed. */
export type Outcome = "done" | "held" | "interrupted";

export interface WorkerOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TrainEvent) => void;
  readonly lease?: Lease;
}

/** What a failed cell leaves behind, until it is tried again. */
export interface Failure {
  readonly message: string;
}

/** What the paper's figures show, at most a hundred times in a run; it changes nothing in it and costs little. */
const observed = ["pre-activations", "gradient-flow"] as const;

export const claimsFolder = (run: string) => join(run, "claims");
export const failurePath = (run: string) => join(run, "failed.json");
const donePath = (run: string) => join(run, "done.json");

/**
 * Brings one cell to its end, whatever was done before: nothing if it is done, else on from its newest checkpoint, else
 * from the start. Any number of processes may call this for the same cell. Throws what made the training fail.
 */
export async function runCell(sweep: string, cell: Cell, options: WorkerOptions = {}): Promise<Outcome> {
  const run = runFolder(sweep, cell.id);
  if (await isDone(run, cell)) return "done";
  const held = await claim(claimsFolder(run), options.lease).catch((error) => {
    throw fileError("EASTING_SWEEP_WRITE", "claim", run, error);
  });
  if (!held) return "held";
  try {
    if (await isDone(run, cell)) return "done";
    await rm(failurePath(run), { force: true });
    return await trainCell(run, cell, options, held.lost);
  } catch (error) {
    if (options.signal?.aborted && (error as Error).name === "AbortError") return "interrupted"; // while data were opened
    await writeJson(failurePath(run), { message: (error as Error).message } satisfies Failure).catch(() => {});
    throw error;
  } finally {
    await held.release();
  }
}

async function trainCell(
  run: string,
  cell: Cell,
  { signal, onEvent }: WorkerOptions,
  lost: AbortSignal,
): Promise<Outcome> {
  const stop = AbortSignal.any(signal ? [signal, lost] : [lost]);
  const data = await openDataSource(cell.data.source, { signal: stop });
  try {
    if (cellId(cell.config, dataOf(cell.data.source, data)) !== cell.id)
      throw new EastingError(
        "EASTING_RUN_DIFFERS",
        `${cell.data.source.from}: expected the images that the sweep was planned for, got others`,
        "restore them or plan the sweep again",
      );
    const resume = existsSync(join(run, "receipt.json"));
    const dataSource = cell.data.source;
    const { epochs, batch } = cell.config;
    const every = Math.ceil((epochs * Math.ceil(cell.data.train / batch)) / 100);
    const callbacks = observed.map((name) => diagnostics[name]({ every }));
    for await (const event of train(cell.config, data, { out: run, resume, signal: stop, dataSource, callbacks })) {
      onEvent?.(event);
      if (event.type === "interrupted") return "interrupted";
    }
  } finally {
    await data.close();
  }
  await writeJson(donePath(run), { cell: cell.id, easting: version, result: await resultHash(run) });
  return "done";
}

/** Whether `done.json` is there, for this cell and this result. */
export async function isDone(run: string, { id }: Cell): Promise<boolean> {
  try {
    const done = JSON.parse(await readFile(donePath(run), "utf8"));
    return done.cell === id && done.result === (await resultHash(run));
  } catch {
    return false;
  }
}

const resultHash = async (run: string) =>
  createHash("sha256")
    .update(await readFile(join(run, "result.json")))
    .digest("hex");

async function writeJson(path: string, value: object): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  await replaceFile(path, Buffer.from(`${JSON.stringify(value, null, 2)}\n`));
}
