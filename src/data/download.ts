import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { EastingError } from "../errors.js";
import type { DataOptions } from "./dataset.js";

export interface RemoteFile {
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface DownloadOptions extends Pick<DataOptions, "onProgress" | "signal"> {
  /** Gives up on a connection that stays silent this long, in milliseconds. Default 60,000. */
  silence?: number;
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest("hex");
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

/** The reason at the bottom of a chain of errors: fetch hides it under `cause`. */
function reason(error: unknown): string {
  let deepest = error as Error & { code?: string };
  while (deepest.cause instanceof Error) deepest = deepest.cause as Error & { code?: string };
  return deepest.message || deepest.code || String(error);
}

/** One connection: asks for what `partial` lacks and appends it. */
async function attempt(file: RemoteFile, partial: string, options: DownloadOptions): Promise<void> {
  const silent = new AbortController();
  const { silence = 60_000, signal } = options;
  let timer: NodeJS.Timeout | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(new Error(`no data for ${silence / 1000} s`)), silence);
  };
  let done = await sizeOf(partial);
  if (done > file.bytes) {
    await rm(partial);
    done = 0;
  }
  if (done === file.bytes) return;
  heard();
  try {
    const response = await fetch(file.url, {
      headers: done > 0 ? { range: `bytes=${done}-` } : {},
      signal: signal ? AbortSignal.any([signal, silent.signal]) : silent.signal,
    });
    if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
    const resumed = response.status === 206;
    if (!resumed) done = 0; // the server sends the whole file
    const target = await open(partial, resumed ? "a" : "w");
    try {
      for await (const chunk of response.body) {
        heard();
        done += chunk.length;
        if (done > file.bytes) {
          await rm(partial);
          throw new Error(`more than the ${file.bytes} bytes expected`);
        }
        await target.writeFile(chunk); // goes on at the current position
        options.onProgress?.({ stage: "download", done, total: file.bytes });
      }
    } finally {
      await target.close();
    }
    if (done < file.bytes) throw new Error(`the connection ended after ${done} of ${file.bytes} bytes`);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Downloads `file` to `path`, going on where an earlier try stopped (`path` + ".part"), and checks its SHA-256.
 * Reconnects for as long as every connection brings new bytes.
 */
export async function download(file: RemoteFile, path: string, options: DownloadOptions = {}): Promise<void> {
  const partial = `${path}.part`;
  await mkdir(dirname(path), { recursive: true });
  for (;;) {
    const before = await sizeOf(partial);
    try {
      await attempt(file, partial, options);
      break;
    } catch (error) {
      options.signal?.throwIfAborted();
      if ((await sizeOf(partial)) > before) continue;
      throw new EastingError(
        "EASTING_DOWNLOAD",
        `data: could not download ${file.url} (${reason(error)})`,
        `download that file by hand and put it in ${dirname(path)}`,
      );
    }
  }
  const got = await sha256OfFile(partial);
  if (got !== file.sha256) {
    await rm(partial);
    throw new EastingError(
      "EASTING_DATA_DAMAGED",
      `data: expected SHA-256 ${file.sha256} of ${file.url}, got ${got}`,
      "the download was discarded: try again",
    );
  }
  await rename(partial, path);
}
