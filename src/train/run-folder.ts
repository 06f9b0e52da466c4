import * as disk from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { EastingError, expected } from "../errors.js";
import { type CheckpointContent, encodeCheckpoint, readCheckpoint, writeCheckpointBytes } from "./checkpoint.js";
import { type FileSystem, fileError, replaceFile, syncFolder, temporaryOwner } from "./durable-file.js";

/** Something that went wrong without stopping the run; the caller decides how to show it. */
export interface RunWarning {
  readonly name: "checkpoint-skipped" | "checkpoint-not-removed";
  readonly path: string;
  readonly message: string;
}

export interface SavedCheckpoint {
  readonly path: string;
  /** Older checkpoints that left to keep the last `keep`. */
  readonly removed: readonly string[];
  readonly warnings: readonly RunWarning[];
}

export interface FoundCheckpoint {
  readonly path: string;
  /** From the file's name; null where a file of another name was asked for. */
  readonly step: number | null;
  readonly content: CheckpointContent;
}

const RECEIPT = "receipt.json";
const RESULT = "result.json";
const EVENTS = "events.jsonl";
const CHECKPOINTS = "checkpoints";

const checkpointName = (step: number) => `step-${String(step).padStart(8, "0")}.ckpt`;

function stepOf(name: string): number | null {
  const match = /^step-(\d+)\.ckpt$/.exec(name);
  const step = match && Number(match[1]);
  return step !== null && checkpointName(step) === name ? step : null;
}

/**
 * Makes a run folder and returns its absolute path. A folder that already holds a run is refused unless `resume` is
 * set (EASTING_RUN_EXISTS); one that holds other files is not.
 */
export async function createRun(folder: string, options: { resume?: boolean } = {}): Promise<string> {
  const run = resolve(folder);
  const checkpoints = join(run, CHECKPOINTS);
  try {
    if (!options.resume) {
      const held = [...(await names(run)), ...(await names(checkpoints))].find(
        (name) => [RECEIPT, RESULT, EVENTS].includes(name) || name.endsWith(".ckpt"),
      );
      if (held !== undefined) {
        const hint = "resume that run or choose another folder";
        throw expected(folder, "a folder without a run", `one that holds ${held}`, hint, "EASTING_RUN_EXISTS");
      }
    }
    const first = await disk.mkdir(checkpoints, { recursive: true });
    // Every folder that gained a name, up to the one that was there before.
    for (let at = checkpoints; first !== undefined && at !== dirname(first); ) {
      at = dirname(at);
      await syncFolder(at);
    }
  } catch (error) {
    if (error instanceof EastingError) throw error;
    throw fileError("EASTING_RUN_WRITE", "make run folder", run, error);
  }
  return run;
}

/** Writes `receipt.json`: what the run was asked to do, every default resolved. */
export async function writeReceipt(folder: string, receipt: object, fs?: FileSystem): Promise<void> {
  await writeJson(join(folder, RECEIPT), receipt, fs);
}

/** Writes `result.json`: what came out. */
export async function writeResult(folder: string, result: object, fs?: FileSystem): Promise<void> {
  await writeJson(join(folder, RESULT), result, fs);
}

async function writeJson(path: string, value: object, fs?: FileSystem): Promise<void> {
  try {
    await replaceFile(path, Buffer.from(`${JSON.stringify(value, null, 2)}\n`), fs);
  } catch (error) {
    throw fileError("EASTING_RUN_WRITE", "write", path, error);
  }
}

/**
 * Writes `checkpoints/step-<step>.ckpt` and, for the best so far, the same bytes as `checkpoints/best.ckpt`; only when
 * they are on the disk do older ones leave, so that of the steps up to this one the last `keep` (default 3) stay.
 * Later steps, which an interrupted run may have left, and files of other names are never removed.
 */
export async function saveCheckpoint(
  folder: string,
  step: number,
  content: CheckpointContent,
  options: { keep?: number; best?: boolean; fs?: FileSystem } = {},
): Promise<SavedCheckpoint> {
  const { keep = 3, best = false, fs = disk } = options;
  if (!Number.isSafeInteger(step) || step < 0) throw expected("step", "a whole number, 0 or more", step);
  if (!Number.isSafeInteger(keep) || keep < 1) throw expected("keep", "a whole number, 1 or more", keep);
  const checkpoints = join(folder, CHECKPOINTS);
  const path = join(checkpoints, checkpointName(step));
  const bytes = encodeCheckpoint(content);
  await writeCheckpointBytes(path, bytes, fs);
  if (best) await writeCheckpointBytes(join(checkpoints, "best.ckpt"), bytes, fs);

  const removed: string[] = [];
  const warnings: RunWarning[] = [];
  const notRemoved = (path: string, error: unknown) => {
    const { message } = fileError("EASTING_RUN_WRITE", "remove old checkpoint", path, error, "remove it by hand");
    warnings.push({ name: "checkpoint-not-removed", path, message });
  };
  const earlier = await savedSteps(checkpoints).catch((error) => {
    notRemoved(checkpoints, error);
    return [];
  });
  for (const old of earlier.filter((saved) => saved <= step).slice(keep)) {
    const oldPath = join(checkpoints, checkpointName(old));
    try {
      await fs.unlink(oldPath);
      removed.push(oldPath);
    } catch (error) {
      notRemoved(oldPath, error);
    }
  }
  return { path, removed, warnings };
}

/**
 * The newest checkpoint of a run that verifies, and a warning for each newer one that does not; for the process about
 * to continue the run. Also removes what writers that are dead left half-written.
 */
export async function latestCheckpoint(
  folder: string,
): Promise<{ checkpoint: FoundCheckpoint | null; warnings: readonly RunWarning[] }> {
  for (const place of [folder, join(folder, CHECKPOINTS)]) {
    for (const name of await names(place)) {
      const path = join(place, name);
      if (await isAbandoned(path)) await disk.unlink(path).catch(() => {}); // harmless if it stays
    }
  }
  return newestValid(folder);
}

/** The checkpoint at a path, where a run folder stands for its newest valid one. Changes nothing on the disk. */
export async function resolveCheckpoint(
  pathOrRunFolder: string,
): Promise<FoundCheckpoint & { readonly warnings: readonly RunWarning[] }> {
  const isFolder = await disk.stat(pathOrRunFolder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    const content = await readCheckpoint(pathOrRunFolder);
    return { path: pathOrRunFolder, step: null, content, warnings: [] };
  }
  const { checkpoint, warnings } = await newestValid(pathOrRunFolder);
  if (checkpoint) return { ...checkpoint, warnings };
  const got = warnings.length > 0 ? `only damaged ones (${warnings[0].message})` : "a folder without checkpoints";
  const wanted = "a checkpoint or a run folder that holds one";
  throw expected(pathOrRunFolder, wanted, got, undefined, "EASTING_CHECKPOINT_NOT_FOUND");
}

async function newestValid(
  folder: string,
): Promise<{ checkpoint: FoundCheckpoint | null; warnings: readonly RunWarning[] }> {
  const checkpoints = join(folder, CHECKPOINTS);
  const warnings: RunWarning[] = [];
  for (const step of await savedSteps(checkpoints)) {
    const path = join(checkpoints, checkpointName(step));
    try {
      return { checkpoint: { path, step, content: await readCheckpoint(path) }, warnings };
    } catch (error) {
      warnings.push({ name: "checkpoint-skipped", path, message: (error as Error).message });
    }
  }
  return { checkpoint: null, warnings };
}

/** Steps with a checkpoint file, newest first, by number: 10000 comes before 9900. */
async function savedSteps(checkpoints: string): Promise<number[]> {
  const steps = (await names(checkpoints)).map(stepOf).filter((step) => step !== null);
  return steps.sort((a, b) => b - a);
}

async function names(folder: string): Promise<string[]> {
  try {
    return await disk.readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw fileError("EASTING_RUN_READ", "list", folder, error);
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  const owner = temporaryOwner(path);
  if (owner === null) return false;
  if (owner === process.pid) {
    // A restarted container gives the same number again: what is older than this process is not ours.
    const found = await disk.stat(path).catch(() => null);
    return found !== null && found.mtimeMs < Date.now() - process.uptime() * 1000 - 1000;
  }
  try {
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
