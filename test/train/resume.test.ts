import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { syntheticDataset } from "../../src/data/index.js";
import { type TrainConfigInput, type TrainOptions, train } from "../../src/east/index.js";
import { threads } from "../../src/tensor/index.js";
import { readCheckpoint, readEvents, type TrainEvent } from "../../src/train/index.js";
import { collect, fewDigits, only, sha256, temporaryFolders } from "./tiny.js";

const folder = temporaryFolders();
const allThreads = threads();
afterEach(() => {
  threads(allThreads);
});

// 5 steps per epoch, the last of 8 images; digits are cropped at random.
const data = fewDigits(72);
const short = { model: "resnet20", sparsity: 95, epochs: 6, batch: 16, seed: 5 } as const;
const east: TrainConfigInput = { ...short, method: "east", cycleUpdateEvery: 2, updateEvery: 5 };

async function run(config: TrainConfigInput, options: TrainOptions = {}): Promise<TrainEvent[]> {
  return collect(train(config, data, options));
}

/** SHA-256 of the checkpoint of the last step, 30. */
const final = (out: string) => sha256(join(out, "checkpoints", "step-00000030.ckpt"));

/** A run from beginning to end; its final checkpoint and its events as recorded. */
async function uninterrupted(config: TrainConfigInput): Promise<{ hash: string; events: object[] }> {
  const out = folder();
  await run(config, { out });
  return { hash: final(out), events: await recorded(out) };
}

let reference: Promise<{ hash: string; events: object[] }> | null = null;
const uninterruptedEast = () => {
  reference ??= uninterrupted(east);
  return reference;
};

/** Events on disk, without what differs between runs: times, paths, threads, and the traces of being interrupted. */
async function recorded(out: string, stops: readonly number[] = []): Promise<object[]> {
  const events = (await readEvents(out)) as unknown as TrainEvent[];
  return events.flatMap((event) => {
    if (event.type === "interrupted") return [];
    if (event.type === "checkpoint" && stops.includes(event.step) && event.step % 5 !== 0) return [];
    const { seconds, imagesPerSecond, path, device, ...rest } = event as Record<string, unknown>;
    return [rest];
  });
}

describe("the run that is resumed below", () => {
  it("has what can go wrong: cycles to step 12, DyReLU to 14, RigL afterwards, a fading beta, smaller batches", async () => {
    const events = await run(east);
    expect(only(events, "topology").map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12, 15, 20, 25]);
    const betas = only(events, "step").map(({ beta }) => beta as number);
    expect([betas[6], betas[7] < 1, betas[13] > 0, betas[14]]).toEqual([1, true, true, 0]);
    expect(only(events, "epoch").map(({ step }) => step)).toEqual([5, 10, 15, 20, 25, 30]);
    const losses = only(events, "step").map(({ loss }) => loss);
    expect(new Set(losses).size).toBe(30);
  });
});

describe("the final checkpoint of EAST is the same, bit by bit,", () => {
  it("when the run is repeated, with 1 thread or 2, and another for another seed", async () => {
    const { hash } = await uninterruptedEast();
    expect((await uninterrupted(east)).hash).toBe(hash);
    for (const count of [1, 2]) {
      threads(count);
      expect((await uninterrupted(east)).hash, `${count} threads`).toBe(hash);
    }
    expect((await uninterrupted({ ...east, seed: 6 })).hash).not.toBe(hash);
  });

  it("with 1, 2 or 3 threads where the work is large enough to be split", async () => {
    const images = syntheticDataset({ count: 53, testCount: 5, shape: [3, 16, 16] });
    const hashes: string[] = [];
    for (const count of [1, 2, 3]) {
      threads(count);
      const out = folder();
      await collect(train({ ...east, epochs: 4 }, images, { out }));
      hashes.push(sha256(join(out, "checkpoints", "step-00000012.ckpt")));
    }
    expect(new Set(hashes).size).toBe(1);
  });

  it("and so are its events, when the run is stopped at any of ten steps and resumed", async () => {
    const { hash, events } = await uninterruptedEast();
    // Drawn at random; 4 and 12 are updates of a cycle, 20 one of RigL; below 15 DyReLU is there; 5 and 20 end epochs.
    for (const stop of [1, 4, 5, 9, 12, 14, 17, 20, 23, 29]) {
      const out = folder();
      const before = await run(east, { out, stopAfter: stop });
      expect(before.at(-1)).toMatchObject({ type: "interrupted", step: stop });
      const after = await run(east, { out, resume: true });
      expect(after[0]).toMatchObject({ type: "start", step: stop, steps: 30 });
      expect(final(out), `stopped at step ${stop}`).toBe(hash);
      expect(await recorded(out, [stop]), `stopped at step ${stop}`).toEqual(events);
    }
  });

  it("when it is stopped again and again, with another number of threads each time", async () => {
    const { hash, events } = await uninterruptedEast();
    const out = folder();
    const stops = [3, 7, 8, 13, 16, 21, 26];
    for (const [i, stopAfter] of stops.entries()) {
      threads(1 + (i % 2));
      await run(east, { out, resume: i > 0, stopAfter });
    }
    await run(east, { out, resume: true });
    expect(final(out)).toBe(hash);
    expect(await recorded(out, stops)).toEqual(events);
  });

  it("when it dies without saving and goes on from an older checkpoint", async () => {
    const { hash, events } = await uninterruptedEast();
    const out = folder();
    for await (const event of train(east, data, { out })) if (event.type === "step" && event.step === 13) break;
    expect(readdirSync(join(out, "checkpoints"))).toContain("step-00000010.ckpt");
    const [start] = await run(east, { out, resume: true });
    expect(start).toMatchObject({ type: "start", step: 10 });
    expect(final(out)).toBe(hash);
    expect(await recorded(out)).toEqual(events);
  });
});

describe("a run of another kind, stopped at steps 6, 10 and 17, ends as it would have:", () => {
  const stops = [6, 10, 17];
  const kinds: [string, TrainConfigInput][] = [
    ["static", { method: "static" }],
    ["dense", { method: "dense" }],
    ["SET", { method: "set", updateEvery: 5 }],
    ["RigL, clipped by dense gradients", { method: "rigl", updateEvery: 6, clip: "dense" }],
    ["RigL with Adam", { method: "rigl", updateEvery: 5, optimizer: "adam", learningRate: 0.01 }],
    ["RigL with weight sharing", { method: "rigl", updateEvery: 5, shareRatio: 2, labelSmoothing: 0.1 }],
    ["RigL with guided growth", { method: "rigl", updateEvery: 5, growth: "gse" }],
    ["GraNet with EAST's pieces", { method: "granet", updateEvery: 4, dyrelu: true, shareRatio: 2, cycles: 1 }],
    ["DCTpS and EAST", { method: "dctps+rigl+east", updateEvery: 5 }],
    [
      "SET with DyReLU and plain SGD",
      { method: "set", dyrelu: true, dyreluBlend: "outputs", momentum: 0, nesterov: false },
    ],
  ];
  it.each(kinds)("%s", async (_, kind) => {
    const config = { ...short, ...kind };
    const { hash, events } = await uninterrupted(config);
    threads(1);
    const out = folder();
    for (const [i, stopAfter] of stops.entries()) await run(config, { out, resume: i > 0, stopAfter });
    await run(config, { out, resume: true });
    expect(final(out)).toBe(hash);
    expect(await recorded(out, stops)).toEqual(events);
  });
});

describe("a checkpoint", () => {
  it("holds weights, topology, velocities, running statistics, progress and settings, and no DyReLU once it is gone", async () => {
    const out = folder();
    await run(east, { out, saveEvery: 7 });
    const names = async (step: string) => {
      const { sections } = await readCheckpoint(join(out, "checkpoints", `step-000000${step}.ckpt`));
      return [...sections.keys()];
    };
    const { header } = await readCheckpoint(join(out, "checkpoints", "step-00000030.ckpt"));
    expect(header).toMatchObject({
      config: { model: "resnet20", sparsity: 95 },
      progress: { step: 30 },
      callbacks: { dyrelu: { beta: 0, retired: true } },
    });
    for (const name of [
      "topology/layer1.0.conv1.weight",
      "parameter/layer1.0.conv1.weight",
      "optimizer/velocity/layer1.0.conv1.weight",
      "parameter/layer1.2.conv1.scale",
      "buffer/layer1.0.norm1.runningMean",
    ])
      expect(await names("30")).toContain(name);
    expect((await names("30")).filter((name) => name.includes("squeeze"))).toEqual([]);
    expect(readdirSync(join(out, "checkpoints")).sort()).toEqual([
      "best.ckpt",
      "step-00000025.ckpt",
      "step-00000028.ckpt",
      "step-00000030.ckpt",
    ]);
  });

  it("taken while DyReLU is on holds its weights and their velocities", async () => {
    const out = folder();
    await run(east, { out, stopAfter: 6 });
    const { sections } = await readCheckpoint(join(out, "checkpoints", "step-00000006.ckpt"));
    expect(sections.get("parameter/layer2.2.activation1.squeeze.weight")?.length).toBe(32 * 8);
    expect(sections.get("optimizer/velocity/layer2.2.activation1.excite.bias")?.length).toBe(128);
  });
});
