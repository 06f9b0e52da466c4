import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as disk from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import ts from "typescript";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CheckpointContent, encodeCheckpoint, readCheckpoint } from "../../src/train/checkpoint.js";
import type { FileSystem } from "../../src/train/durable-file.js";
import {
  createRun,
  latestCheckpoint,
  resolveCheckpoint,
  saveCheckpoint,
  writeReceipt,
  writeResult,
} from "../../src/train/run-folder.js";
import { EventLog, readEvents } from "../../src/train/run-log.js";

let folder: string;
let run: string;
beforeEach(async () => {
  folder = await disk.mkdtemp(join(tmpdir(), "easting-run-"));
  run = join(folder, "out");
});
afterEach(() => disk.rm(folder, { recursive: true }));

const at = (step: number): CheckpointContent => ({
  header: { step },
  sections: new Map([["w", Float32Array.of(step, step + 1)]]),
});
const checkpoints = async () => (await disk.readdir(join(run, "checkpoints"))).sort();
const checkpoint = (name: string) => join(run, "checkpoints", name);

async function damage(path: string): Promise<void> {
  const bytes = await disk.readFile(path);
  bytes[bytes.length >> 1] ^= 1;
  await disk.writeFile(path, bytes);
}

function full(code: string, calls: Partial<Record<"write" | "rename" | "unlink", boolean>>): FileSystem {
  const fail = () => Promise.reject(Object.assign(new Error(code), { code }));
  return {
    async open(path, flags) {
      const file = await disk.open(path, flags);
      return {
        write: async (data, offset, length, position) => {
          if (!calls.write) return file.write(data, offset, length, position);
          await file.write(data, offset, length >> 1, position);
          return fail();
        },
        truncate: (length) => file.truncate(length),
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
    rename: (from, to) => (calls.rename ? fail() : disk.rename(from, to)),
    unlink: (path) => (calls.unlink ? fail() : disk.unlink(path)),
  };
}

describe("a run folder", () => {
  it("is made with its parents, and its path is absolute", async () => {
    run = await createRun(join(folder, "a", "b"));
    expect(run).toBe(join(folder, "a", "b"));
    expect(await disk.readdir(run)).toEqual(["checkpoints"]);
  });

  it("may hold other files", async () => {
    await disk.mkdir(run);
    await disk.writeFile(join(run, "notes.txt"), "");
    await createRun(run);
    expect((await disk.readdir(run)).sort()).toEqual(["checkpoints", "notes.txt"]);
  });

  it.each(["receipt.json", "events.jsonl", "result.json", "checkpoints/step-00000001.ckpt", "checkpoints/best.ckpt"])(
    "that holds %s is refused, unless it is resumed",
    async (name) => {
      await createRun(run);
      await disk.writeFile(join(run, name), "");
      await expect(createRun(run)).rejects.toMatchObject({
        code: "EASTING_RUN_EXISTS",
        message: `${run}: expected a folder without a run, got one that holds ${name.replace("checkpoints/", "")}; resume that run or choose another folder`,
      });
      expect(await createRun(run, { resume: true })).toBe(run);
    },
  );

  it("cannot be made where a file is", async () => {
    await disk.writeFile(run, "");
    await expect(createRun(run)).rejects.toMatchObject({ name: "EastingError", code: "EASTING_RUN_READ" });
    await expect(createRun(run, { resume: true })).rejects.toMatchObject({ code: "EASTING_RUN_WRITE" });
  });

  it("keeps a receipt and a result as readable JSON", async () => {
    await createRun(run);
    await writeReceipt(run, { method: "east", density: 0.001 });
    await writeResult(run, { accuracy: 0.9 });
    expect(await disk.readFile(join(run, "receipt.json"), "utf8")).toBe(
      '{\n  "method": "east",\n  "density": 0.001\n}\n',
    );
    expect(await disk.readFile(join(run, "result.json"), "utf8")).toBe('{\n  "accuracy": 0.9\n}\n');
  });

  it("keeps the old receipt when the disk is full", async () => {
    await createRun(run);
    await writeReceipt(run, { seed: 1 });
    await expect(writeReceipt(run, { seed: 2 }, full("ENOSPC", { write: true }))).rejects.toMatchObject({
      code: "EASTING_RUN_WRITE",
      message: `cannot write ${join(run, "receipt.json")}: the disk is full (ENOSPC)`,
    });
    expect(JSON.parse(await disk.readFile(join(run, "receipt.json"), "utf8"))).toEqual({ seed: 1 });
    expect((await disk.readdir(run)).sort()).toEqual(["checkpoints", "receipt.json"]);
  });
});

describe("saving checkpoints", () => {
  beforeEach(() => createRun(run));

  it("keeps the last three by number, where names alone would sort otherwise", async () => {
    for (const step of [9_800, 9_900, 10_000, 99_999_900, 100_000_000]) await saveCheckpoint(run, step, at(step));
    expect(await checkpoints()).toEqual(["step-00010000.ckpt", "step-100000000.ckpt", "step-99999900.ckpt"]);
    expect((await latestCheckpoint(run)).checkpoint?.step).toBe(100_000_000);
  });

  it("says what left", async () => {
    const first = await saveCheckpoint(run, 9_900, at(9_900), { keep: 1 });
    expect(first).toEqual({ path: checkpoint("step-00009900.ckpt"), removed: [], warnings: [] });
    expect((await saveCheckpoint(run, 10_000, at(10_000), { keep: 1 })).removed).toEqual([first.path]);
  });

  it("keeps the best however old it is, with the bytes of its step", async () => {
    await saveCheckpoint(run, 1, at(1), { best: true, keep: 1 });
    for (const step of [2, 3, 4]) await saveCheckpoint(run, step, at(step), { keep: 1 });
    expect(await checkpoints()).toEqual(["best.ckpt", "step-00000004.ckpt"]);
    expect(await disk.readFile(checkpoint("best.ckpt"))).toEqual(encodeCheckpoint(at(1)));
  });

  it("never removes what it just wrote, a later step, or a file of another name", async () => {
    for (const step of [300, 400, 500]) await saveCheckpoint(run, step, at(step));
    for (const name of ["step-1.ckpt", "step-00000002.ckpt.bak", "mine.ckpt"])
      await disk.writeFile(checkpoint(name), "");
    const { removed } = await saveCheckpoint(run, 250, at(250), { keep: 1 });
    expect(removed).toEqual([]);
    expect((await checkpoints()).filter((name) => name.startsWith("step-00000"))).toEqual([
      "step-00000002.ckpt.bak",
      "step-00000250.ckpt",
      "step-00000300.ckpt",
      "step-00000400.ckpt",
      "step-00000500.ckpt",
    ]);
  });

  it("holds to its promise for any order of steps and any number to keep", async () => {
    const step = fc.oneof(fc.nat(12), fc.constantFrom(9_900, 9_999, 10_000, 99_999_999, 100_000_000, 2 ** 53 - 1));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, fc.boolean()), { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 4 }),
        async (saves, keep) => {
          await disk.rm(run, { recursive: true });
          await createRun(run);
          let expected: number[] = [];
          let best: number | null = null;
          for (const [step, isBest] of saves) {
            await saveCheckpoint(run, step, at(step), { keep, best: isBest });
            if (isBest) best = step;
            const all = [...new Set([...expected, step])].sort((a, b) => b - a);
            const later = all.filter((saved) => saved > step);
            expected = [...later, ...all.filter((saved) => saved <= step).slice(0, keep)];
            const names = expected.map((saved) => `step-${String(saved).padStart(8, "0")}.ckpt`);
            expect(await checkpoints()).toEqual([...names, ...(best === null ? [] : ["best.ckpt"])].sort());
            expect((await latestCheckpoint(run)).checkpoint?.step).toBe(expected[0]);
            expect((await resolveCheckpoint(run)).content.header.step).toBe(expected[0]);
            if (best !== null) expect((await readCheckpoint(checkpoint("best.ckpt"))).header.step).toBe(best);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each(["write", "rename"])("removes nothing when the disk is full at %s", async (call) => {
    for (const step of [1, 2, 3]) await saveCheckpoint(run, step, at(step), { best: step === 2 });
    const before = await checkpoints();
    const fs = full("ENOSPC", { [call]: true });
    await expect(saveCheckpoint(run, 4, at(4), { keep: 1, best: true, fs })).rejects.toMatchObject({
      code: "EASTING_CHECKPOINT_WRITE",
    });
    expect(await checkpoints()).toEqual(before);
    expect((await latestCheckpoint(run)).checkpoint?.step).toBe(3);
    await saveCheckpoint(run, 4, at(4));
    expect((await latestCheckpoint(run)).checkpoint?.step).toBe(4);
  });

  it("succeeds with a warning where an old checkpoint cannot be removed", async () => {
    await saveCheckpoint(run, 1, at(1));
    const saved = await saveCheckpoint(run, 2, at(2), { keep: 1, fs: full("EACCES", { unlink: true }) });
    const path = checkpoint("step-00000001.ckpt");
    expect(saved.warnings).toEqual([
      {
        name: "checkpoint-not-removed",
        path,
        message: `cannot remove old checkpoint ${path}: permission denied (EACCES); remove it by hand`,
      },
    ]);
    expect((await latestCheckpoint(run)).checkpoint?.step).toBe(2);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])("refuses %s as a step", async (step) => {
    await expect(saveCheckpoint(run, step, at(0))).rejects.toThrow("step: expected a whole number, 0 or more");
  });

  it("refuses to keep none", async () => {
    await expect(saveCheckpoint(run, 1, at(1), { keep: 0 })).rejects.toThrow(
      "keep: expected a whole number, 1 or more",
    );
    expect(await checkpoints()).toEqual([]);
  });
});

describe("finding the latest checkpoint", () => {
  beforeEach(() => createRun(run));

  it("finds none in a new run or a folder that is not there", async () => {
    expect(await latestCheckpoint(run)).toEqual({ checkpoint: null, warnings: [] });
    expect(await latestCheckpoint(join(folder, "nowhere"))).toEqual({ checkpoint: null, warnings: [] });
  });

  it("falls back one by one, with a warning for each that is damaged", async () => {
    for (const step of [1, 2, 3]) await saveCheckpoint(run, step, at(step));
    await damage(checkpoint("step-00000003.ckpt"));
    await disk.truncate(checkpoint("step-00000002.ckpt"), 10);
    const { checkpoint: found, warnings } = await latestCheckpoint(run);
    expect(found).toEqual({ path: checkpoint("step-00000001.ckpt"), step: 1, content: at(1) });
    expect(warnings.map(({ name, path }) => [name, path])).toEqual([
      ["checkpoint-skipped", checkpoint("step-00000003.ckpt")],
      ["checkpoint-skipped", checkpoint("step-00000002.ckpt")],
    ]);
    expect(warnings[1].message).toContain("expected a checkpoint of at least 56 bytes, got 10 bytes");
    await damage(checkpoint("step-00000001.ckpt"));
    expect((await latestCheckpoint(run)).checkpoint).toBeNull();
    expect(await checkpoints()).toHaveLength(3);
  });

  it("removes temporary files of dead processes only", async () => {
    const dead = spawnSync(process.execPath, ["--version"]).pid;
    const name = (pid: number) => `step-00000001.ckpt.tmp-${pid}-0123456789abcdef`;
    const left = [name(process.pid), name(process.ppid), "mine.tmp", `x.tmp-${dead}-short`];
    for (const file of [...left, name(dead)]) await disk.writeFile(checkpoint(file), "");
    await disk.writeFile(join(run, `receipt.json.tmp-${dead}-0123456789abcdef`), "");
    await resolveCheckpoint(run).catch(() => {});
    expect(await checkpoints()).toHaveLength(5); // looking changes nothing
    await latestCheckpoint(run);
    expect(await checkpoints()).toEqual(left.sort());
    expect(await disk.readdir(run)).toEqual(["checkpoints"]);
  });

  it("removes temporary files older than this process, though they bear its number", async () => {
    const path = checkpoint(`best.ckpt.tmp-${process.pid}-0123456789abcdef`);
    await disk.writeFile(path, "");
    await disk.utimes(path, 1_000_000_000, 1_000_000_000);
    await latestCheckpoint(run);
    expect(await checkpoints()).toEqual([]);
  });
});

describe("a checkpoint or a run folder", () => {
  beforeEach(() => createRun(run));

  it("stands for a file, or for the newest that verifies", async () => {
    for (const step of [1, 2]) await saveCheckpoint(run, step, at(step), { best: step === 1 });
    expect((await resolveCheckpoint(checkpoint("best.ckpt"))).content).toEqual(at(1));
    expect(await resolveCheckpoint(run)).toMatchObject({ step: 2, content: at(2), warnings: [] });
    await damage(checkpoint("step-00000002.ckpt"));
    expect(await resolveCheckpoint(run)).toMatchObject({ step: 1, warnings: [{ name: "checkpoint-skipped" }] });
  });

  it("is refused where there is none", async () => {
    await expect(resolveCheckpoint(run)).rejects.toMatchObject({
      code: "EASTING_CHECKPOINT_NOT_FOUND",
      message: `${run}: expected a checkpoint or a run folder that holds one, got a folder without checkpoints`,
    });
    await saveCheckpoint(run, 1, at(1));
    await damage(checkpoint("step-00000001.ckpt"));
    await expect(resolveCheckpoint(run)).rejects.toThrow("got only damaged ones (");
    await expect(resolveCheckpoint(join(folder, "nowhere"))).rejects.toThrow("no such file or folder (ENOENT)");
  });
});

describe("the event log", () => {
  beforeEach(() => createRun(run));
  const path = () => join(run, "events.jsonl");
  const write = async (...steps: number[]) => {
    const log = await EventLog.open(run);
    for (const step of steps) await log.append({ type: "step", step, loss: 0.5 });
    await log.close();
  };
  const steps = async () => (await readEvents(run)).map(({ step }) => step);

  it("writes one JSON object per line, in the order of append", async () => {
    const log = await EventLog.open(run);
    await Promise.all([1, 2, 3].map((step) => log.append({ type: "step", step })));
    expect(await steps()).toEqual([1, 2, 3]); // readable while it is open
    await log.flush();
    await log.append({ type: "end", step: 3, loss: Number.NaN });
    await log.close();
    await log.close();
    expect(await disk.readFile(path(), "utf8")).toBe(
      '{"type":"step","step":1}\n{"type":"step","step":2}\n{"type":"step","step":3}\n{"type":"end","step":3,"loss":null}\n',
    );
    await expect(log.append({ type: "step", step: 4 })).rejects.toThrow("the log is closed");
  });

  it("is not started twice, and refuses events without a step", async () => {
    const log = await EventLog.open(run);
    await expect(EventLog.open(run)).rejects.toMatchObject({ code: "EASTING_RUN_WRITE" });
    await expect(log.append({ type: "step", step: Number.NaN })).rejects.toThrow("event step: expected a whole number");
    await log.close();
  });

  it("goes on after the step of a resume without the events that came later", async () => {
    await write(0, 1, 2, 2, 3, 4);
    const log = await EventLog.open(run, { resumeFrom: 2 });
    await log.append({ type: "step", step: 3 });
    await log.close();
    expect(await steps()).toEqual([0, 1, 2, 2, 3]);
  });

  it("starts anew from -1, and where there is no log yet", async () => {
    await (await EventLog.open(run, { resumeFrom: 5 })).close();
    await disk.unlink(path());
    await write(0, 1);
    await (await EventLog.open(run, { resumeFrom: -1 })).close();
    expect(await disk.readFile(path(), "utf8")).toBe("");
  });

  it("tolerates a last line torn at any byte", async () => {
    await write(1, 2, 3);
    const bytes = await disk.readFile(path());
    const line = bytes.length / 3;
    for (let length = 2 * line; length < bytes.length; length++) {
      await disk.writeFile(path(), bytes.subarray(0, length));
      expect(await steps()).toEqual([1, 2]);
      const log = await EventLog.open(run, { resumeFrom: 3 });
      await log.append({ type: "step", step: 3, loss: 0.5 });
      await log.close();
      expect(await disk.readFile(path())).toEqual(bytes);
    }
  });

  it("keeps what stands around a damaged line or an event out of order", async () => {
    await disk.writeFile(
      path(),
      '{"type":"a","step":1}\n\0\0{"type"\n{"type":"b","step":9}\n{"type":"c","step":2}\n7\n',
    );
    expect((await readEvents(run)).map(({ type }) => type)).toEqual(["a", "b", "c"]);
    await (await EventLog.open(run, { resumeFrom: 2 })).close();
    expect(await disk.readFile(path(), "utf8")).toBe('{"type":"a","step":1}\n{"type":"c","step":2}\n');
  });

  it("loses only the events a full disk refused", async () => {
    const calls = { write: false };
    const log = await EventLog.open(run, { fs: full("ENOSPC", calls) });
    await log.append({ type: "step", step: 1 });
    calls.write = true;
    await expect(log.append({ type: "step", step: 2, long: "x".repeat(100) })).rejects.toMatchObject({
      code: "EASTING_RUN_WRITE",
      message: `cannot append to ${path()}: the disk is full (ENOSPC)`,
    });
    calls.write = false;
    await log.append({ type: "step", step: 3 });
    await log.close();
    expect(await disk.readFile(path(), "utf8")).toBe('{"type":"step","step":1}\n{"type":"step","step":3}\n');
  });

  it("that is missing is named in the error", async () => {
    await expect(readEvents(run)).rejects.toThrow(`cannot read event log ${path()}: no such file or folder (ENOENT)`);
  });
});

describe("a process killed at any moment", () => {
  const KILLS = 25;

  it("loses no checkpoint it reported and leaves none that cannot be read", async () => {
    await createRun(run);
    const program = await compileWriter();
    let acknowledged = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const writer = spawn(process.execPath, [program, run, String(acknowledged)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      acknowledged = Math.max(acknowledged, await lastStep(writer, 3 + 7 * kill));
      const { checkpoint: found, warnings } = await latestCheckpoint(run);
      expect(warnings).toEqual([]);
      expect(found?.step).toBeGreaterThanOrEqual(acknowledged);
      expect(found?.content.header.step).toBe(found?.step);
      const names = await checkpoints();
      expect(names.filter((name) => name.includes(".tmp-"))).toEqual([]);
      for (const name of names) await readCheckpoint(checkpoint(name));
    }
    expect(acknowledged).toBeGreaterThan(KILLS);
  });

  async function compileWriter(): Promise<string> {
    await disk.mkdir(join(folder, "js", "train"), { recursive: true });
    await disk.writeFile(join(folder, "js", "package.json"), '{"type":"module"}');
    for (const name of ["errors", "train/checkpoint", "train/durable-file", "train/run-folder"]) {
      const source = await disk.readFile(join(import.meta.dirname, "../../src", `${name}.ts`), "utf8");
      const { outputText } = ts.transpileModule(source, {
        compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
      });
      await disk.writeFile(join(folder, "js", `${name}.js`), outputText);
    }
    const program = join(folder, "js", "writer.js");
    await disk.writeFile(
      program,
      `import { writeSync } from "node:fs";
      import { saveCheckpoint } from "./train/run-folder.js";
      const [run, last] = process.argv.slice(2);
      for (let step = Number(last) + 1; ; step++) {
        const sections = new Map([["w", new Float32Array(50_000).fill(step)]]);
        await saveCheckpoint(run, step, { header: { step }, sections }, { best: step % 3 === 0 });
        writeSync(1, step + "\\n");
      }`,
    );
    return program;
  }

  /** Kills the writer some milliseconds after its first checkpoint; the last step it reported. */
  async function lastStep(writer: ChildProcess, milliseconds: number): Promise<number> {
    let reported = "";
    writer.stdout?.once("data", () => setTimeout(() => writer.kill("SIGKILL"), milliseconds));
    writer.stdout?.on("data", (text) => {
      reported += text;
    });
    const signal = await new Promise((resolve) => writer.once("close", (_, signal) => resolve(signal)));
    expect(signal).toBe("SIGKILL");
    return Number(reported.trimEnd().split("\n").at(-1));
  }
});
