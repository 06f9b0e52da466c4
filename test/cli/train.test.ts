import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { easting, jsonLines, startEasting, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const small = ["--model", "resnet20", "--sparsity", "95", "--epochs", "2", "--batch", "256", "--seed", "3"];

function lastCheckpoint(run: string): string {
  const names = readdirSync(join(run, "checkpoints")).filter((name) => name.startsWith("step-"));
  return join(run, "checkpoints", names.sort()[names.length - 1]);
}
const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("easting train", () => {
  const run = join(folder, "run");

  it("writes events to stdout and nothing else, the result last", () => {
    const { status, stdout, stderr } = easting("train", ...small, "--out", run, "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const events = jsonLines(stdout);
    expect(events[0]).toMatchObject({ type: "start", steps: 12, epochs: 2 });
    expect(events.filter(({ type }) => type === "step")).toHaveLength(12);
    expect(events.filter(({ type }) => type === "epoch")).toHaveLength(2);
    const last = events[events.length - 1];
    expect(last).toMatchObject({ type: "end", nnz: 13_530, density: expect.closeTo(0.05, 5) });
    for (const key of ["testAccuracy", "seconds", "imagesPerSecond"]) expect(last[key]).toBeGreaterThan(0);
    expect(last).toHaveProperty("bestAccuracy");
    expect(readFileSync(join(run, "events.jsonl"), "utf8")).toBe(stdout);
  });

  it("records in the receipt what it resolved, and how to open the data", () => {
    const receipt = JSON.parse(readFileSync(join(run, "receipt.json"), "utf8"));
    expect(receipt.config).toMatchObject({
      model: "resnet20",
      method: "east",
      sparsity: 95,
      clip: "active",
      cycles: 2,
    });
    expect(receipt.data).toMatchObject({ source: { from: "digits", validation: "split" }, train: 1293 });
  });

  it("refuses a folder that holds a run, and leaves it alone", () => {
    const before = digest(lastCheckpoint(run));
    const { status, stderr } = easting("train", ...small, "--out", run, "--json");
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: .* expected a folder without a run, got one that holds .*; resume that run/);
    expect(digest(lastCheckpoint(run))).toBe(before);
  });

  it("stopped and resumed by its receipt alone, ends with the same bytes", () => {
    const stopped = join(folder, "stopped");
    const first = easting("train", ...small, "--out", stopped, "--stop-after", "5", "--threads", "1");
    expect(first.status).toBe(75);
    expect(first.stderr).toBe(
      `stopped after step 5; saved in ${join(stopped, "checkpoints", "step-00000005.ckpt")}\n` +
        `go on with: easting train --resume --out ${stopped}\n`,
    );
    const second = easting("train", "--resume", "--out", stopped, "--json");
    expect(jsonLines(second.stdout)[0]).toMatchObject({ type: "start", step: 5 });
    expect(digest(lastCheckpoint(stopped))).toBe(digest(lastCheckpoint(run)));
  });

  it("says of a run that has ended how it ended", () => {
    const { status, stdout } = easting("train", "--resume", run);
    expect(status).toBe(0);
    expect(stdout).toMatch(/has ended already\.\ntest accuracy {2}\d+\.\d\d %/);
  });

  it("refuses to resume by other settings", () => {
    const stopped = join(folder, "other");
    easting("train", ...small, "--out", stopped, "--stop-after", "1");
    expect(easting("train", "--resume", "--out", stopped, "--batch", "64")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("got another batch; resume with the same settings or start a new run"),
    });
    expect(easting("train", "--resume", "--out", stopped, "--validation", "none").stderr).toContain(
      "expected 1293 training images",
    );
  });

  it("saves at Ctrl-C and exits with 75", async () => {
    const interrupted = join(folder, "interrupted");
    const child = startEasting("train", ...small, "--epochs", "500", "--out", interrupted, "--json");
    child.stdout?.once("data", () => child.kill("SIGINT"));
    child.stdout?.resume();
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(code).toBe(75);
    expect(existsSync(lastCheckpoint(interrupted))).toBe(true);
  });

  it("takes settings from a file, and flags over them", () => {
    const file = join(folder, "settings.json");
    const out = join(folder, "from-file");
    writeFileSync(file, JSON.stringify({ model: "resnet20", method: "set", epochs: 1, batch: 512, sparsity: 90, out }));
    const { status, stdout } = easting("train", "--config", file, "--sparsity", "98", "--no-nesterov");
    expect(status).toBe(0);
    expect(stdout).toMatch(/resnet20, set, 98 % sparsity, 1 epoch, batch 512, seed 1\n/);
    const { config } = JSON.parse(readFileSync(join(out, "receipt.json"), "utf8"));
    expect(config).toMatchObject({ sparsity: 98, batch: 512, nesterov: false });
  });

  it("warns once when too few weights are left to reach a logit", () => {
    const few = ["--model", "resnet20", "--method", "static", "--sparsity", "99.99", "--epochs", "2", "--batch", "512"];
    const { stderr } = easting("train", ...few, "--out", join(folder, "few"));
    expect(stderr).toMatch(/^warning: no logit depends on the image: too few weights .*\n$/);
  });
});
