import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { EastingError, expected } from "../errors.js";
import { type RunEvent, readEvents, readWhole, type TrainEvent } from "../train/index.js";

/** What is drawn and exported of a run folder. */
export interface Run {
  /** Of the folder. */
  readonly name: string;
  /** Its configuration, every default resolved, and the name of its data. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly stepsPerEpoch: number;
  /** When it was begun, in seconds since 1970. */
  readonly begun: number;
  readonly events: readonly TrainEvent[];
}

/** Reads a run folder, also of a run that is going on. */
export async function readRun(folder: string): Promise<Run> {
  const path = join(folder, "receipt.json");
  const text = await readWhole(path).catch(() => null);
  if (!text)
    throw new EastingError("EASTING_RUN_NOT_FOUND", `${folder}: expected a run folder, got one without receipt.json`);
  const receipt = parse(text.toString("utf8"), path) as { config: object; data: { name: string } };
  const events: readonly RunEvent[] = await readEvents(folder);
  const start = events.find(({ type }) => type === "start") as { stepsPerEpoch?: number } | undefined;
  if (!start?.stepsPerEpoch)
    throw expected(folder, "a run that has begun", "one without a start in its events", undefined, "EASTING_RUN_READ");
  return {
    name: basename(resolve(folder)),
    settings: { ...receipt.config, data: receipt.data.name },
    stepsPerEpoch: start.stepsPerEpoch,
    begun: Math.floor((await stat(path)).mtimeMs / 1000),
    events: events as readonly TrainEvent[],
  };
}

function parse(text: string, path: string): unknown {
  try {
    const value = JSON.parse(text);
    if (value?.config && value?.data) return value;
  } catch {}
  throw new EastingError("EASTING_RUN_READ", `${path}: expected a receipt in JSON, got a damaged file`);
}

/** The events of one type, in order. */
export function only<T extends TrainEvent["type"]>(run: Run, type: T): Extract<TrainEvent, { type: T }>[] {
  return run.events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);
}
