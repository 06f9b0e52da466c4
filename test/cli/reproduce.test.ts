import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { holder } from "../../src/experiments/claim.js";
import { type CellStatus, readManifest, sweepStatus } from "../../src/experiments/index.js";
import { easting, startEasting, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const cells = ["--cells", "resnet20/digits/95", "--epochs", "1"];

describe("easting reproduce", () => {
  const out = join(folder, "table1");

  it("lists the runs of a table and trains none in a dry run", () => {
    const { status, stdout } = easting("reproduce", "table1", ...cells, "--seeds", "2", "--out", out, "--dry-run");
    expect(status).toBe(0);
    expect(stdout).toContain("14 cells: 14 waiting\n");
    expect(existsSync(out)).toBe(false);
  });

  it("lists cells in a dry run also where their images are missing", () => {
    const asked = ["--cells", "resnet34/cifar10/99.9/east", "--data", folder, "--seeds", "2", "--dry-run"];
    const { status, stdout, stderr } = easting("reproduce", "table1", ...asked);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "resnet34/cifar10/99.9/east, seeds 1 to 2\n" });
    expect(stderr).toMatch(/^warning: what is done cannot be told without the images: .*/);
  });

  it("trains each method once, prints the table, and trains nothing the second time", { timeout: 180_000 }, () => {
    const run = easting("reproduce", "table1", ...cells, "--seeds", "1", "--out", out, "--jobs", "2");
    expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: "" });
    const rows = readFileSync(join(out, "table1.md"), "utf8").match(/^\| resnet20 \|.*$/gm) as string[];
    expect(run.stdout).toContain(rows.join("\n"));
    const columns = rows.map((row) => row.split("|").map((cell) => cell.trim()));
    expect(columns.map((row) => row[4])).toEqual([
      "dense",
      "SynFlow",
      "SET",
      "RigL",
      "EAST",
      "DCTpS+RigL",
      "DCTpS+RigL+EAST",
    ]);
    for (const [, , data, , , paper, ours, n, difference, id] of columns) {
      expect({ data, paper, n, difference }).toEqual({ data: "digits", paper: "–", n: "1", difference: "–" });
      expect(ours).toMatch(/^\d+\.\d\d ± –$/);
      expect(existsSync(join(out, "runs", id, "done.json"))).toBe(true);
    }
    for (const ending of ["csv", "tex", "svg"]) expect(existsSync(join(out, `table1.${ending}`))).toBe(true);
    const again = easting("reproduce", "table1", ...cells, "--seeds", "1", "--out", out);
    expect(again.stdout.match(/done before/g)).toHaveLength(7);
  });

  it("prints a table of what is done, and trains nothing, when that is asked for", () => {
    const { status, stdout } = easting("reproduce", "table1", ...cells, "--seeds", "2", "--out", out, "--report");
    expect(status).toBe(0);
    expect(stdout.match(/ \| 1 of 2 \| /g)).toHaveLength(7);
  });

  it("shares its runs with other tables and figures", () => {
    const table4 = ["--cells", "resnet20/digits/95", "--epochs", "1", "--seeds", "1", "--out", out, "--dry-run"];
    const { stdout } = easting("reproduce", "table4", ...table4);
    expect(stdout).toContain("3 cells: 1 done, 2 waiting\n");
  });

  it("killed on the way, ends with the same numbers from the same command", { timeout: 180_000 }, async () => {
    const asked = [
      "table1",
      "--cells",
      "resnet20/digits/95/set,resnet20/digits/95/rigl",
      "--epochs",
      "4",
      "--seeds",
      "2",
    ];
    const [whole, broken] = [join(folder, "whole"), join(folder, "broken")];
    expect(easting("reproduce", ...asked, "--out", whole).status).toBe(0);
    const run = startEasting("reproduce", ...asked, "--out", broken);
    const statuses = async () => sweepStatus(broken, await readManifest(broken).catch(() => []));
    const until = async (condition: (statuses: readonly CellStatus[]) => boolean) => {
      for (let i = 0; i < 3000 && !condition(await statuses()); i++) await sleep(10);
    };
    // One run is done and the next is in the middle.
    await until(([first, second]) => first?.state === "done" && second.epoch > 0);
    const at = await holder(join((await statuses())[1].run, "claims"));
    run.kill("SIGKILL");
    process.kill(at?.pid as number, "SIGKILL"); // at once: by itself it would stop in good order
    await until(([, second]) => second.state !== "running");
    expect((await statuses()).map(({ state }) => state)).toEqual(["done", "stopped", "waiting", "waiting"]);
    const resumed = easting("reproduce", ...asked, "--out", broken);
    expect(resumed.status).toBe(0);
    expect(resumed.stdout).toMatch(/\[1\/4\] .*done before\n\[2\/4\] .*: goes on after epoch \d\n/);
    expect(readFileSync(join(broken, "table1.csv"), "utf8")).toBe(readFileSync(join(whole, "table1.csv"), "utf8"));
  });

  it("says in one sentence what it does not know", () => {
    const fault = (...args: string[]) => easting("reproduce", ...args);
    expect(fault("table9")).toMatchObject({ status: 2, stderr: expect.stringContaining("got table9") });
    expect(fault("table1", "--cells", "resnet20/digits/95/eest").stderr).toBe(
      "error: --cells: expected one of dense, synflow, set, rigl, east, dctps+rigl, dctps+rigl+east, " +
        'got "eest"; did you mean east?\n',
    );
    expect(fault("table1", "--data", "images").stderr).toBe(
      "error: --data: expected <name>=<folder> with a name among cifar10, cifar100, got images\n",
    );
    expect(fault("table2", "--cells", "resnet34")).toMatchObject({ status: 2 });
  });
});
