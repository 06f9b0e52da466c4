import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** Who works on a cell. */
export interface Holder {
  /** Name of the machine and what tells its process numbers from those of another. */
  readonly machine: string;
  readonly pid: number;
}

export interface Claim {
  /** Aborted when another process has taken the cell over, because this one stood still for longer than the lease. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

export interface Lease {
  /** A claim without a heartbeat for this long is dead. */
  readonly milliseconds: number;
  readonly heartbeat: number;
}
export const lease: Lease = { milliseconds: 120_000, heartbeat: 15_000 };

const RELEASED = "released";
const HEARTBEAT = "heartbeat.json";

// Claims of a cell are folders 1, 2, 3 …: the highest counts, and whoever makes the next one has taken over. mkdir
// succeeds for one process only, on network disks too, and since no number comes back nobody can take a new claim for
// the dead one it looked at before.
const claimFolder = (claims: string, number: number) => join(claims, String(number));

/** Claims a cell; null while another process holds it. */
export async function claim(claims: string, { milliseconds, heartbeat }: Lease = lease): Promise<Claim | null> {
  await mkdir(claims, { recursive: true });
  const number = (await highest(claims)) + 1;
  if (await holder(claims, milliseconds)) return null;
  const own = claimFolder(claims, number);
  try {
    await mkdir(own);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return null; // another was faster
    throw error;
  }
  const text = JSON.stringify({ machine: machine(), pid: process.pid } satisfies Holder);
  const write = () => writeFile(join(own, HEARTBEAT), text);
  await write();
  const lost = new AbortController();
  const timer = setInterval(() => {
    if (existsSync(claimFolder(claims, number + 1))) lost.abort();
    else write().catch(() => {}); // a full disk: the lease may run out, the run ends by itself
  }, heartbeat);
  timer.unref();
  return {
    lost: lost.signal,
    async release() {
      clearInterval(timer);
      await writeFile(join(own, RELEASED), "").catch(() => {}); // else the lease runs out
    },
  };
}

/** The process that holds a cell; null where there is none, or a dead one. */
export async function holder(claims: string, milliseconds = lease.milliseconds): Promise<Holder | null> {
  const number = await highest(claims);
  if (number === 0) return null;
  const own = claimFolder(claims, number);
  if (existsSync(join(own, RELEASED))) return null;
  const path = join(own, HEARTBEAT);
  const { mtimeMs } = await stat(path).catch(() => stat(own));
  if (Date.now() - mtimeMs > milliseconds) return null;
  // A heartbeat that is just being written is empty for a moment.
  const text = await readFile(path, "utf8").catch(() => "");
  const found: Holder = text === "" ? { machine: "unknown", pid: 0 } : JSON.parse(text);
  return found.machine === machine() && !runs(found.pid) ? null : found;
}

async function highest(claims: string): Promise<number> {
  const names = await readdir(claims).catch(() => []);
  return Math.max(0, ...names.map(Number).filter(Number.isInteger));
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
  try {
    // Killed, and its parent, gone too, will not collect it.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true; // no such files on this system
  }
}

/** Containers share a host's name and not its processes, and after a restart the numbers begin again. */
function machine(): string {
  try {
    return `${hostname()} ${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}
