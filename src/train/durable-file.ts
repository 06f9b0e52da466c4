import { randomBytes } from "node:crypto";
import * as disk from "node:fs/promises";
import { dirname } from "node:path";
import { EastingError } from "../errors.js";

/** What writing needs from a file system; `node:fs/promises` is one. */
export interface FileSystem {
  open(path: string, flags: string): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

export interface OpenFile {
  write(data: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const AT_ONCE = 1 << 24;

/** Writes all of `data` at `position`, also where the system takes only a part at a time. */
export async function writeFully(file: OpenFile, data: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const length = Math.min(data.length - done, AT_ONCE);
    const { bytesWritten } = await file.write(data, done, length, position + done);
    if (bytesWritten === 0) throw new Error("the system wrote 0 bytes");
    done += bytesWritten;
  }
}

/** Makes names created, renamed or removed in `folder` survive a power loss. */
export async function syncFolder(folder: string, fs: FileSystem = disk): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be opened there
  const handle = await fs.open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!["EINVAL", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error; // some network disks
  } finally {
    await handle.close();
  }
}

const TEMPORARY = /\.tmp-(\d+)-[0-9a-f]{16}$/;

/** The process that writes, or wrote, this temporary file; null for any other file name. */
export function temporaryOwner(name: string): number | null {
  const match = TEMPORARY.exec(name);
  return match && Number(match[1]);
}

/**
 * Replaces `path` in one step: whatever happens on the way, a reader finds the old file or the new one, whole.
 * Returns once the new file is on the disk; throws what the file system threw, without a temporary file left behind.
 */
export async function replaceFile(path: string, bytes: Uint8Array, fs: FileSystem = disk): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}-${randomBytes(8).toString("hex")}`;
  const file = await fs.open(temporary, "wx");
  try {
    try {
      await writeFully(file, bytes, 0);
      await file.sync();
    } finally {
      await file.close(); // network disks report a full quota here
    }
    await fs.rename(temporary, path);
  } catch (error) {
    await fs.unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path), fs);
}

const REASONS: { readonly [code: string]: string } = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EACCES: "permission denied",
  EROFS: "the disk is read-only",
  EIO: "the disk failed",
  ENOENT: "no such file or folder",
  EISDIR: "it is a folder",
};

/** `error` of the file system as one sentence about `path`, with the original as its cause. */
export function fileError(code: string, doing: string, path: string, error: unknown, hint?: string): EastingError {
  const { code: reason = "", message } = error as NodeJS.ErrnoException;
  const text = reason in REASONS ? `${REASONS[reason]} (${reason})` : message;
  return Object.assign(new EastingError(code, `cannot ${doing} ${path}: ${text}`, hint), { cause: error });
}

/** Reads a file of any size; `readFile` refuses those above 2 GB. */
export async function readWhole(path: string): Promise<Buffer> {
  const file = await disk.open(path, "r");
  try {
    const bytes = Buffer.allocUnsafeSlow((await file.stat()).size);
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await file.read(bytes, done, Math.min(bytes.length - done, AT_ONCE), done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}
