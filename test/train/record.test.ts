import * as disk from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type TrainConfigInput, type TrainOptions, train } from "../../src/east/index.js";
import { readEvents, type TrainEvent } from "../../src/train/index.js";
import { version } from "../../src/version.js";
import { collect, failure, fewDigits, only, sha256, temporaryFolders } from "./tiny.js";

/** Which names the full disk refuses to write; none when null. */
const full = vi.hoisted(() => ({ names: null as RegExp | null }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    async open(path: string, ...rest: [string]) {
      const file = await real.open(path, ...rest);
      return new Proxy(file, {
        get(target, name) {
          if (name === "write" && full.names?.test(path))
            return () => Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
          const member = Reflect.get(target, name);
          return typeof member === "function" ? member.bind(target) : member;
        },
      });
    },
  };
});
afterEach(() => {
  full.names = null;
});

const folder = temporaryFolders();
const data = fewDigits(48);
// 3 steps an epoch, 12 in all.
const config = { model: "resnet20", method: "rigl", sparsity: 95, epochs: 4, batch: 16, updateEvery: 4 } as const;
const run = (out: string, options: TrainOptions = {}, settings: TrainConfigInput = config, images = data) =>
  collect(train(settings, images, { out, ...options }));

const checkpoint = (out: string, step: number) =>
  join(out, "checkpoints", `step-${String(step).padStart(8, "0")}.ckpt`);
const json = async (out: string, name: string) => JSON.parse(await disk.readFile(join(out, name), "utf8"));

async function flipByte(path: string): Promise<void> {
  const bytes = await disk.readFile(path);
  bytes[bytes.length >> 1] ^= 1;
  await disk.writeFile(path, bytes);
}

describe("a run folder", () => {
  it("holds a receipt of every setting, the data and the machine, the events, checkpoints and the result", async () => {
    const out = folder();
    const events = await run(out);
    expect((await disk.readdir(out)).sort()).toEqual(["checkpoints", "events.jsonl", "receipt.json", "result.json"]);
    expect(await json(out, "receipt.json")).toMatchObject({
      easting: version,
      config: { ...config, seed: 1, momentum: 0.9, nesterov: true, weightDecay: 1e-4, clip: "off", dropFraction: 0.5 },
      data: { name: "digits", hash: data.hash, train: 48, validation: 20, test: 20 },
      fullSize: 270_608,
      machine: { instructionSet: expect.stringMatching(/^(baseline|avx2|avx512)$/), node: process.version },
    });
    expect(await readEvents(out)).toEqual(JSON.parse(JSON.stringify(events)));
    expect(await json(out, "result.json")).toEqual(JSON.parse(JSON.stringify(events.at(-1))));
    expect(events.at(-1)).toMatchObject({ type: "end", step: 12, nnz: 13_530 });
  });

  it("keeps the last three checkpoints and the best, or as many as it is told", async () => {
    const [out, one] = [folder(), folder()];
    const names = (at: string) => disk.readdir(join(at, "checkpoints")).then((list) => list.sort());
    const events = await run(out);
    expect(await names(out)).toEqual([
      "best.ckpt",
      ...[6, 9, 12].map((step) => `step-${String(step).padStart(8, "0")}.ckpt`),
    ]);
    expect(only(events, "checkpoint").map(({ step }) => step)).toEqual([3, 6, 9, 12]);
    await run(one, { keep: 1, saveEvery: 5 });
    expect(await names(one)).toEqual(["best.ckpt", "step-00000012.ckpt"]);
    const best = only(events, "checkpoint").findLast(({ best }) => best);
    if (best?.step === 12) expect(sha256(join(out, "checkpoints", "best.ckpt"))).toBe(sha256(checkpoint(out, 12)));
  });

  it("is written while the run goes on", async () => {
    const out = folder();
    for await (const event of train(config, data, { out })) {
      const written = await readEvents(out);
      expect(written.at(-1)).toMatchObject({ type: event.type, step: event.step });
      if (event.step === 4) break;
    }
    expect(await disk.readdir(out)).not.toContain("result.json");
  });

  it("that is in use is refused before anything is written", async () => {
    const out = folder();
    await run(out, { stopAfter: 2 });
    const before = await disk.readFile(join(out, "events.jsonl"), "utf8");
    const { code, message } = await failure(run(out));
    expect(code).toBe("EASTING_RUN_EXISTS");
    expect(message).toMatch(
      /expected a folder without a run, got one that holds .*; resume that run or choose another/,
    );
    expect(await disk.readFile(join(out, "events.jsonl"), "utf8")).toBe(before);
  });
});

describe("resuming", () => {
  it("with other settings names them", async () => {
    const out = folder();
    await run(out, { stopAfter: 2 });
    const error = await failure(run(out, { resume: true }, { ...config, sparsity: 90, batch: 8 }));
    expect(error.code).toBe("EASTING_RUN_DIFFERS");
    expect(error.message).toBe(
      `resume: expected the configuration of ${join(out, "receipt.json")}, got another sparsity, batch; ` +
        "resume with the same settings or start a new run",
    );
  });

  it("with other data, or another part of it, is refused", async () => {
    const out = folder();
    await run(out, { stopAfter: 2 });
    const other = await failure(run(out, { resume: true }, config, { ...data, hash: "others" }));
    expect(other.code).toBe("EASTING_RUN_DIFFERS");
    expect(other.message).toMatch(/expected the data of .*receipt.json, got other images or labels/);
    const more = await failure(run(out, { resume: true }, config, { ...fewDigits(64), hash: data.hash }));
    expect(more.message).toMatch(
      /expected 48 training images as in .*, got 64; split off the validation images as before/,
    );
  });

  it("a folder that holds no run, or none at all, is refused", async () => {
    const out = folder();
    expect(await failure(run(out, { resume: true }))).toMatchObject({
      code: "EASTING_RUN_NOT_FOUND",
      message: `${out}: expected a run to resume, got a folder without receipt.json`,
    });
    expect((await failure(collect(train(config, data, { resume: true })))).message).toBe(
      "resume: expected a run folder in out, got none",
    );
  });

  it("a run that never saved starts it anew", async () => {
    const out = folder();
    for await (const event of train(config, data, { out })) if (event.step === 2) break;
    const events = await run(out, { resume: true });
    expect(events[0]).toMatchObject({ type: "start", step: 0 });
    const written = (await readEvents(out)) as unknown as TrainEvent[];
    expect(only(written, "step").map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(only(written, "start").length).toBe(1);
  });

  it("a finished run changes nothing and says its result again", async () => {
    const out = folder();
    const end = (await run(out)).at(-1);
    const files = ["events.jsonl", "result.json", "receipt.json"].map((name) => join(out, name));
    const before = files.map(sha256);
    expect((await run(out, { resume: true })).at(-1)).toEqual(JSON.parse(JSON.stringify(end)));
    expect(files.map(sha256)).toEqual(before);
  });
});

describe("a checkpoint with one flipped bit", () => {
  it("is passed over for the one before, with a warning, and the run ends as it would have", async () => {
    const [whole, out] = [folder(), folder()];
    await run(whole);
    await run(out, { stopAfter: 8 });
    await flipByte(checkpoint(out, 8));
    const events = await run(out, { resume: true });
    expect(events.slice(0, 2)).toEqual([
      expect.objectContaining({ type: "start", step: 6 }),
      { type: "warning", step: 6, message: expect.stringMatching(/step-00000008.ckpt: expected contents that match/) },
    ]);
    expect(sha256(checkpoint(out, 12))).toBe(sha256(checkpoint(whole, 12)));
  });

  it("is an error where no other is left", async () => {
    const out = folder();
    await run(out, { stopAfter: 2 });
    await flipByte(checkpoint(out, 2));
    const { code, message } = await failure(run(out, { resume: true }));
    expect(code).toBe("EASTING_CHECKPOINT");
    expect(message).toMatch(/step-00000002.ckpt: expected contents that match their SHA-256, got a different SHA-256/);
  });
});

describe("a full disk", () => {
  it("while a checkpoint is saved ends the run with one sentence; the last checkpoint is whole and goes on later", async () => {
    const [whole, out] = [folder(), folder()];
    await run(whole);
    const steps: number[] = [];
    const training = async () => {
      for await (const event of train(config, data, { out })) {
        steps.push(event.step);
        if (event.step === 5) full.names = /\.ckpt/;
      }
    };
    const error = await failure(training());
    expect(error.code).toBe("EASTING_CHECKPOINT_WRITE");
    expect(error.message).toBe(
      `cannot write checkpoint ${checkpoint(out, 6)}: the disk is full (ENOSPC); ` +
        "earlier checkpoints are untouched, make room or choose another folder",
    );
    expect(steps.at(-1)).toBe(6);
    expect((await disk.readdir(join(out, "checkpoints"))).sort()).toEqual(["best.ckpt", "step-00000003.ckpt"]);
    full.names = null;
    await run(out, { resume: true });
    expect(sha256(checkpoint(out, 12))).toBe(sha256(checkpoint(whole, 12)));
  });

  it("while an event is written ends the run with one sentence", async () => {
    const out = folder();
    const training = async () => {
      for await (const event of train(config, data, { out })) if (event.step === 2) full.names = /events/;
    };
    expect(await failure(training())).toMatchObject({
      code: "EASTING_RUN_WRITE",
      message: `cannot append to ${join(out, "events.jsonl")}: the disk is full (ENOSPC)`,
    });
    full.names = null;
    expect((await readEvents(out)).at(-1)).toMatchObject({ type: "step", step: 2 });
    expect((await run(out, { resume: true })).at(-1)?.type).toBe("end");
  });

  it("at the very start leaves no training behind", async () => {
    full.names = /receipt/;
    const { code } = await failure(run(folder()));
    expect(code).toBe("EASTING_RUN_WRITE");
  });
});
