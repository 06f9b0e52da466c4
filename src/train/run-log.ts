import * as disk from "node:fs/promises";
import { join } from "node:path";
import { EastingError, expected } from "../errors.js";
import {
  type FileSystem,
  fileError,
  type OpenFile,
  readWhole,
  replaceFile,
  syncFolder,
  writeFully,
} from "./durable-file.js";

/** A plain JSON object; numbers that are not finite become null in the file. */
export interface RunEvent {
  readonly type: string;
  /** Steps finished when the event happened: a resume from step s keeps the events with `step <= s`. */
  readonly step: number;
}

const NAME = "events.jsonl";
const NEWLINE = 10;

/** The append-only `events.jsonl` of a run folder: one event per line, in the order of `append`. */
export class EventLog {
  private tail: Promise<unknown> = Promise.resolve();
  private closed = false;

  private constructor(
    private readonly path: string,
    private readonly file: OpenFile,
    private end: number,
  ) {}

  /**
   * Starts the log of a new run, or with `resumeFrom` goes on after that step: later events and a torn last line are
   * removed first, -1 removes all.
   */
  static async open(folder: string, options: { resumeFrom?: number; fs?: FileSystem } = {}): Promise<EventLog> {
    const { resumeFrom, fs = disk } = options;
    const path = join(folder, NAME);
    try {
      const end = resumeFrom === undefined ? null : await cutAfter(path, resumeFrom, fs);
      const log = new EventLog(path, await fs.open(path, end === null ? "wx" : "r+"), end ?? 0);
      if (end === null) await syncFolder(folder, fs);
      return log;
    } catch (error) {
      throw fileError("EASTING_RUN_WRITE", "open event log", path, error);
    }
  }

  /** Hands one event to the system; it survives the end of the process, and after `flush` a power loss. */
  async append<E extends RunEvent>(event: E): Promise<void> {
    if (!Number.isSafeInteger(event.step)) throw expected(`event ${event.type}`, "a whole number as step", event.step);
    const line = Buffer.from(`${JSON.stringify(event)}\n`);
    await this.queue("append to", async () => {
      try {
        await writeFully(this.file, line, this.end);
      } catch (error) {
        // Half a line may stand there now; the next event is written over it.
        await this.file.truncate(this.end).catch(() => {});
        throw error;
      }
      this.end += line.length;
    });
  }

  /** Returns once every event appended so far is on the disk. */
  async flush(): Promise<void> {
    await this.queue("flush", () => this.file.sync());
  }

  async close(): Promise<void> {
    if (this.closed) return;
    const flushed = this.flush();
    this.closed = true;
    try {
      await flushed;
    } finally {
      await this.file.close();
    }
  }

  private async queue(doing: string, work: () => Promise<void>): Promise<void> {
    if (this.closed) throw new EastingError("EASTING_RUN_WRITE", `cannot ${doing} ${this.path}: the log is closed`);
    const done = this.tail.then(work);
    this.tail = done.catch(() => {});
    try {
      await done;
    } catch (error) {
      throw fileError("EASTING_RUN_WRITE", doing, this.path, error);
    }
  }
}

/** The events of a run folder, also of one that is being written: a torn or damaged line is left out. */
export async function readEvents(folder: string): Promise<RunEvent[]> {
  const path = join(folder, NAME);
  try {
    return [...lines(await readWhole(path))].flatMap(({ event }) => event ?? []);
  } catch (error) {
    throw fileError("EASTING_RUN_READ", "read event log", path, error);
  }
}

// Keeps the events up to `step`; the new length of the file, or null where there is no file.
async function cutAfter(path: string, step: number, fs: FileSystem): Promise<number | null> {
  let bytes: Buffer;
  try {
    bytes = await readWhole(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  const kept = Buffer.concat([...lines(bytes)].flatMap(({ text, event }) => (event && event.step <= step ? text : [])));
  if (kept.length === bytes.length) return kept.length;
  if (!bytes.subarray(0, kept.length).equals(kept)) {
    await replaceFile(path, kept, fs);
    return kept.length;
  }
  const file = await fs.open(path, "r+"); // no second copy: the disk may be full
  try {
    await file.truncate(kept.length);
    await file.sync();
  } finally {
    await file.close();
  }
  return kept.length;
}

function* lines(bytes: Buffer): Generator<{ text: Buffer; event: RunEvent | null }> {
  let start = 0;
  for (let newline = bytes.indexOf(NEWLINE); newline !== -1; newline = bytes.indexOf(NEWLINE, start)) {
    const text = bytes.subarray(start, newline + 1);
    yield { text, event: parse(text) };
    start = newline + 1;
  }
}

function parse(line: Buffer): RunEvent | null {
  try {
    const event = JSON.parse(line.toString("utf8"));
    return typeof event?.type === "string" && Number.isSafeInteger(event.step) ? event : null;
  } catch {
    return null;
  }
}
