import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { type Cell, type CellStatus, cellStatus, runLocally } from "../experiments/index.js";
import { INTERRUPTED } from "./failure.js";
import { duration, percent } from "./format.js";
import { watchInterrupt } from "./interrupt.js";

const program = fileURLToPath(new URL("./index.js", import.meta.url));

export interface CellsOptions {
  readonly jobs: number;
  /** Threads of each process; by default the cores are shared out. */
  readonly threads?: number;
  readonly quiet?: boolean;
}

/**
 * Runs cells in child processes, each `easting sweep run --cell`, so that one that fails or dies takes nothing with it.
 * Returns the exit code: 0 if all are done, 1 if some failed, 75 if the rest was interrupted or is in other hands.
 */
export async function runCells(sweep: string, cells: readonly Cell[], options: CellsOptions): Promise<number> {
  const { jobs, threads = Math.max(1, Math.floor(availableParallelism() / jobs)), quiet } = options;
  const tell = (text: string) => {
    if (!quiet) process.stdout.write(`${text}\n`);
  };
  const children = new Set<ChildProcess>();
  using interrupt = watchInterrupt(() => {
    process.stderr.write("stopping after this step; press Ctrl-C again to stop at once\n");
    for (const child of children) child.kill("SIGTERM");
  });
  const number = new Map(cells.map(({ id }, i) => [id, i + 1]));
  const states: CellStatus["state"][] = [];
  const work = async (cell: Cell) => {
    const before = await cellStatus(sweep, cell);
    const line = (text: string) => tell(`[${number.get(cell.id)}/${cells.length}] ${cell.id}  ${before.cell}: ${text}`);
    if (before.state === "done") {
      states.push("done");
      return line(`${percent(before.accuracy ?? 0)}, done before`);
    }
    if (before.state !== "running") line(before.epoch > 0 ? `goes on after epoch ${before.epoch}` : "begins");
    const started = performance.now();
    const died = await runChild(sweep, cell, threads, children);
    const after = await cellStatus(sweep, cell);
    states.push(died ? "failed" : after.state);
    line(outcome(after, died, (performance.now() - started) / 1000));
  };
  await runLocally(cells, jobs, work, interrupt.signal);
  if (states.includes("failed")) return 1;
  return states.length === cells.length && states.every((state) => state === "done") ? 0 : INTERRUPTED;
}

function outcome({ state, accuracy, message }: CellStatus, died: string | null, seconds: number): string {
  if (state === "done") return `${percent(accuracy ?? 0)}, ${duration(seconds)}`;
  if (state === "running") return "another process works on it";
  return message ?? (died ? `failed: ${died}` : "stopped, and saved");
}

/** Null if the process ended as it should, else how it died. Without this process it saves and stops. */
function runChild(sweep: string, { id }: Cell, threads: number, children: Set<ChildProcess>): Promise<string | null> {
  // A process group of its own, so that Ctrl-C reaches it once, from here.
  const child = fork(program, ["sweep", "run", sweep, "--cell", id, "--threads", String(threads)], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    detached: true,
  });
  children.add(child);
  let last = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    last = (last + text).slice(-2000);
  });
  return new Promise((resolve) => {
    const end = (code: number | null, signal: string | null) => {
      children.delete(child);
      if (code === 0 || code === INTERRUPTED) return resolve(null);
      resolve(
        last
          .trim()
          .split("\n")
          .at(-1)
          ?.replace(/^error: /, "") || `the process ended with ${signal ?? `code ${code}`}`,
      );
    };
    child.once("error", ({ message }) => end(null, message));
    child.once("close", end);
  });
}
