import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { holder } from "../../src/experiments/claim.js";
import { type CellStatus, readManifest, sweepStatus } from "../../src/experiments/index.js";
import { easting, jsonLines, startEasting, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const file = (name: string, value: unknown) => {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(value));
  return path;
};
const status = (sweep: string) => jsonLines(easting("sweep", "status", sweep, "--json").stdout);

/** SHA-256 of the last checkpoint of every run. */
function results(sweep: string): Record<string, string> {
  const runs = readdirSync(join(sweep, "runs")).sort();
  return Object.fromEntries(
    runs.map((id) => {
      const checkpoints = join(sweep, "runs", id, "checkpoints");
      const last = readdirSync(checkpoints)
        .filter((name) => name.startsWith("step-"))
        .sort()
        .at(-1);
      return [
        id,
        createHash("sha256")
          .update(readFileSync(join(checkpoints, last as string)))
          .digest("hex"),
      ];
    }),
  );
}

const now = async (sweep: string) => sweepStatus(sweep, await readManifest(sweep));

/** Ends whoever works on cells of a sweep, at once and for good. */
async function killWorkers(sweep: string): Promise<void> {
  for (const { run } of await now(sweep)) {
    const at = await holder(join(run, "claims"));
    if (at) process.kill(at.pid, "SIGKILL");
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 1500; i++) {
    if (await condition()) return;
    await sleep(20);
  }
  throw new Error("it did not come to that in 30 s");
}

const grid = file("grid.json", {
  model: "resnet20",
  method: ["rigl", "east"],
  sparsity: 95,
  epochs: [2, 3],
  batch: 256,
});

describe("easting sweep", () => {
  const reference = join(folder, "reference");

  it("runs every cell of a grid once", { timeout: 120_000 }, () => {
    const planned = easting("sweep", "plan", grid, "-o", reference);
    expect(planned.stdout).toMatch(/^4 cells, 4 of them new, 4 in all: .*sweep\.jsonl\n/);
    expect(status(reference).map(({ state }) => state)).toEqual(["waiting", "waiting", "waiting", "waiting"]);
    expect(easting("sweep", "run", reference, "--jobs", "2")).toMatchObject({ status: 0, stderr: "" });
    for (const { state, epoch, epochs, accuracy } of status(reference)) {
      expect({ state, epoch }).toEqual({ state: "done", epoch: epochs });
      expect(accuracy).toBeGreaterThan(0);
    }
    const before = results(reference);
    const again = easting("sweep", "run", reference);
    expect(again.stdout.match(/done before/g)).toHaveLength(4);
    expect(results(reference)).toEqual(before);
  });

  it("killed, also between and after cells, goes on and ends with the same bytes", { timeout: 180_000 }, async () => {
    const sweep = join(folder, "killed");
    easting("sweep", "plan", grid, "-o", sweep);
    const finished = new Map<string, number>();
    const marker = (id: string) => join(sweep, "runs", id, "done.json");
    const moments: ((cells: readonly CellStatus[]) => boolean)[] = [
      (cells) => cells.some(({ epoch }) => epoch === 1),
      (cells) => cells.some(({ state }) => state === "done") && cells.some(({ state }) => state === "running"),
    ];
    for (const moment of moments) {
      const run = startEasting("sweep", "run", sweep, "--jobs", "2", "--threads", "1");
      await until(async () => moment(await now(sweep)));
      run.kill("SIGKILL");
      await killWorkers(sweep);
      await until(async () => (await now(sweep)).every(({ state }) => state !== "running"));
      for (const { id, state } of await now(sweep)) {
        expect(["waiting", "stopped", "done"]).toContain(state);
        if (state === "done" && !finished.has(id)) finished.set(id, statSync(marker(id)).mtimeMs);
      }
    }
    expect(finished.size).toBeGreaterThan(0);
    expect(finished.size).toBeLessThan(4);
    expect(easting("sweep", "run", sweep)).toMatchObject({ status: 0, stderr: "" });
    expect(results(sweep)).toEqual(results(reference));
    for (const [id, time] of finished) expect(statSync(marker(id)).mtimeMs).toBe(time);
  });

  it("stops its processes when it is killed itself, with what they did saved", { timeout: 120_000 }, async () => {
    const sweep = join(folder, "orphans");
    easting("sweep", "plan", file("long.json", { model: "resnet20", method: "rigl", epochs: 500 }), "-o", sweep);
    const run = startEasting("sweep", "run", sweep);
    await until(async () => (await now(sweep))[0].epoch > 0);
    run.kill("SIGKILL");
    await until(async () => (await now(sweep))[0].state === "stopped");
    expect(existsSync(join((await now(sweep))[0].run, "claims", "1", "released"))).toBe(true);
  });

  it("shares its cells out among processes that know nothing of each other", { timeout: 120_000 }, async () => {
    const sweep = join(folder, "shared");
    easting("sweep", "plan", grid, "-o", sweep);
    const runs = [1, 2].map(() => startEasting("sweep", "run", sweep, "--threads", "1"));
    const codes = await Promise.all(runs.map((run) => new Promise((resolve) => run.once("close", resolve))));
    // Whoever comes to the last cell second leaves it to the other.
    for (const code of codes) expect([0, 75]).toContain(code);
    expect(results(sweep)).toEqual(results(reference));
    const attempts = readdirSync(join(sweep, "runs")).map(
      (id) => readdirSync(join(sweep, "runs", id, "claims")).length,
    );
    expect(attempts).toEqual([1, 1, 1, 1]);
  });

  it("goes past a cell that fails, and says so", { timeout: 120_000 }, () => {
    const sweep = join(folder, "failing");
    const wild = { model: "resnet20", method: "rigl", sparsity: 95, epochs: 1, batch: 256, learningRate: [1e30, 0.1] };
    easting("sweep", "plan", file("wild.json", wild), "-o", sweep);
    const run = easting("sweep", "run", sweep);
    expect(run.status).toBe(1);
    expect(run.stdout).toMatch(/\[1\/2\] .*: training: expected a finite loss at step \d+, got/);
    const [failed, done] = status(sweep);
    expect(failed).toMatchObject({ state: "failed", message: expect.stringContaining("lower the learning rate") });
    expect(done.state).toBe("done");
  });

  it("runs one cell for an external scheduler, by number or id", { timeout: 120_000 }, () => {
    const sweep = join(folder, "one");
    easting("sweep", "plan", grid, "-o", sweep);
    const [, { id }] = status(sweep);
    expect(easting("sweep", "run", sweep, "--cell", "1")).toEqual({ status: 0, stdout: `${id} done\n`, stderr: "" });
    expect(easting("sweep", "run", sweep, "--cell", id).stdout).toBe(`${id} done\n`);
    expect(status(sweep).map(({ state }) => state)).toEqual(["waiting", "done", "waiting", "waiting"]);
    expect(easting("sweep", "submit", sweep).stdout).toContain("#SBATCH --array=0,2-3%16\n");
    expect(easting("sweep", "run", sweep, "--cell", "9")).toMatchObject({
      status: 2,
      stderr: `error: --cell: expected a number from 0 to 3 or an id of ${sweep}, got 9\n`,
    });
  });
});
