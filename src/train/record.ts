import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EastingError } from "../errors.js";
import { type CheckpointContent, canonicalJson, type JsonObject } from "./checkpoint.js";
import type { TrainEvent } from "./events.js";
import type { Checkpoint } from "./fit.js";
import { createRun, latestCheckpoint, saveCheckpoint, writeReceipt, writeResult } from "./run-folder.js";
import { EventLog } from "./run-log.js";

/** What a recorded run hands to `fit`. */
export interface RunHooks {
  readonly save: (checkpoint: Checkpoint) => Promise<string>;
  readonly resume: CheckpointContent | null;
}

export interface RecordOptions {
  /** What was asked for; `config` and these numbers of the data must be the same when a run is resumed. */
  readonly receipt: { readonly config: JsonObject; readonly data: { readonly hash: string; readonly train?: number } };
  readonly resume?: boolean;
  readonly keep?: number;
}

/** Keeps a run in a folder: receipt first, every event as it comes, checkpoints, and the result when it ends. A run that has ended yields its result. */
export async function* recordRun(
  folder: string,
  { receipt, resume = false, keep }: RecordOptions,
  start: (hooks: RunHooks) => AsyncGenerator<TrainEvent>,
): AsyncGenerator<TrainEvent> {
  const run = await createRun(folder, { resume });
  const warnings: string[] = [];
  let content: CheckpointContent | null = null;
  let from = -1;
  if (resume) {
    await sameRun(run, receipt);
    const latest = await latestCheckpoint(run);
    warnings.push(...latest.warnings.map(({ message }) => message));
    if (!latest.checkpoint && latest.warnings.length > 0) throw new EastingError("EASTING_CHECKPOINT", warnings[0]);
    content = latest.checkpoint?.content ?? null;
    from = latest.checkpoint?.step ?? -1;
    const ended = await resultAt(run, from);
    if (ended) {
      yield ended;
      return;
    }
  } else await writeReceipt(run, receipt);
  const log = await EventLog.open(run, resume ? { resumeFrom: from } : {});
  const save = async ({ step, best, content }: Checkpoint) => {
    await log.flush();
    const saved = await saveCheckpoint(run, step, content, { best, ...(keep && { keep }) });
    warnings.push(...saved.warnings.map(({ message }) => message));
    return saved.path;
  };
  let last = Math.max(0, from);
  try {
    for await (const event of start({ save, resume: content })) {
      // A run that goes on has its start on record already.
      if (!(event.type === "start" && content)) await log.append(event);
      last = event.step;
      if (event.type === "end") await writeResult(run, event);
      yield event;
      for (const message of warnings.splice(0)) yield { type: "warning", step: last, message };
    }
  } finally {
    await log.flush();
    await log.close();
  }
}

/** The result of a run that ended at this step; null if it goes on. */
async function resultAt(run: string, step: number): Promise<TrainEvent | null> {
  const text = readFile(join(run, "result.json"), "utf8");
  const result = await text.then((json) => JSON.parse(json) as TrainEvent).catch(() => null);
  return result?.step === step ? result : null;
}

async function sameRun(run: string, receipt: RecordOptions["receipt"]): Promise<void> {
  const path = join(run, "receipt.json");
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null)
    throw new EastingError(
      "EASTING_RUN_NOT_FOUND",
      `${run}: expected a run to resume, got a folder without receipt.json`,
    );
  const before = JSON.parse(text) as RecordOptions["receipt"];
  const config = JSON.parse(JSON.stringify(receipt.config)) as JsonObject;
  const changed = Object.keys({ ...before.config, ...config }).filter(
    (key) => canonicalJson(before.config[key] ?? null) !== canonicalJson(config[key] ?? null),
  );
  if (changed.length > 0)
    throw new EastingError(
      "EASTING_RUN_DIFFERS",
      `resume: expected the configuration of ${path}, got another ${changed.join(", ")}`,
      "resume with the same settings or start a new run",
    );
  if (before.data.hash !== receipt.data.hash)
    throw new EastingError("EASTING_RUN_DIFFERS", `resume: expected the data of ${path}, got other images or labels`);
  if (before.data.train !== receipt.data.train)
    throw new EastingError(
      "EASTING_RUN_DIFFERS",
      `resume: expected ${before.data.train} training images as in ${path}, got ${receipt.data.train}`,
      "split off the validation images as before",
    );
}
