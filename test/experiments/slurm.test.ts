import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type CellState, type CellStatus, slurmScript } from "../../src/experiments/index.js";

const folder = mkdtempSync(join(tmpdir(), "easting-slurm-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const statuses = (...states: CellState[]) => states.map((state) => ({ state }) as CellStatus);

/** Runs a script as a job of an array would be, with programs that write down their arguments. */
function job(script: string, code: number): { status: number | null; calls: string } {
  const calls = join(folder, "calls");
  writeFileSync(calls, "");
  for (const [name, exit] of [
    ["easting", code],
    ["scontrol", 0],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/bash\necho "${name} $*" >> '${calls}'\nexit ${exit}\n`);
    chmodSync(path, 0o755);
  }
  const env = { PATH: `${folder}:${process.env.PATH}`, SLURM_ARRAY_TASK_ID: "4", SLURM_JOB_ID: "77" };
  const { status } = spawnSync("bash", ["-c", script], { env });
  return { status, calls: readFileSync(calls, "utf8") };
}

describe("a Slurm script", () => {
  const script = slurmScript(
    "sweeps/a b",
    statuses("waiting", "failed", "stopped", "done", "running", "done"),
    8,
    "easting",
  );

  it("is an array over the cells that are not done", () => {
    expect(script).toContain("#SBATCH --array=0-2,4%8\n");
  });

  it("runs its cell, and puts itself back into the queue only when that was interrupted", () => {
    expect(job(script, 0)).toEqual({ status: 0, calls: "easting sweep run sweeps/a b --cell 4\n" });
    expect(job(script, 1)).toEqual({ status: 1, calls: "easting sweep run sweeps/a b --cell 4\n" });
    expect(job(script, 75)).toEqual({
      status: 75,
      calls: "easting sweep run sweeps/a b --cell 4\nscontrol requeue 77\n",
    });
  });
});
