import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { train } from "../../../src/east/index.js";
import { native } from "../../../src/native.js";
import { sampling } from "../../../src/sparse/diagnostics/sampling.js";
import { diagnostics } from "../../../src/sparse/index.js";
import { defaultDevice } from "../../../src/tensor/index.js";
import { type Callback, readEvents } from "../../../src/train/index.js";
import { collect, fewDigits, only, sha256, temporaryFolders } from "../../train/tiny.js";

const folder = temporaryFolders();
const all = (every: number) => Object.values(diagnostics).map((make) => make({ every }));

describe("diagnostics of a run", () => {
  // DyReLU until step 6, sharing, cycles of density until step 5, RigL's exchanges after it, gradients clipped.
  const east = { model: "resnet20", method: "east", sparsity: 98, epochs: 4, batch: 20, updateEvery: 4 } as const;

  it.each([
    ["EAST", east],
    ["RigL with all channels computed", { ...east, method: "rigl", liveChannels: false }],
    ["RigL clipped by dense gradients", { ...east, method: "rigl", clip: "dense" }],
    ["guided exploration", { ...east, method: "rigl", growth: "gse", updateEvery: 3 }],
    ["SNFS, which gathers dense gradients", { ...east, method: "snfs" }],
    ["Top-KAST, which computes with a part of its weights", { ...east, method: "top-kast" }],
    ["DCTpS", { ...east, method: "dctps+rigl+east" }],
    ["the dense network", { ...east, method: "dense" }],
  ] as const)("change no bit of the training: %s", async (_, config) => {
    const [without, looked] = [folder(), folder()];
    await collect(train(config, fewDigits(60), { out: without }));
    await collect(train(config, fewDigits(60), { out: looked, callbacks: all(1) }));
    const last = "checkpoints/step-00000012.ckpt";
    expect(sha256(join(looked, last))).toBe(sha256(join(without, last)));
    expect((await readEvents(looked)).filter(({ type }) => type in diagnostics)).toHaveLength(3 * 4);
  });

  it("leave the kernels of steps without a look as they are", async () => {
    const kernels = native.kernels[defaultDevice]?.f32 as unknown as Record<string, (...list: unknown[]) => void>;
    /** Names of the kernels that each step calls, in order. */
    const calls = async (callbacks: readonly Callback[]) => {
      const step: string[] = [];
      for (const [name, kernel] of Object.entries(kernels))
        vi.spyOn(kernels, name).mockImplementation((...list) => {
          step.push(name);
          kernel(...list);
        });
      const steps: string[][] = [];
      for await (const { type } of train({ ...east, method: "rigl", epochs: 1 }, fewDigits(60), { callbacks }))
        if (type === "step") steps.push(step.splice(0));
      vi.restoreAllMocks();
      return steps;
    };
    const [plain, looked] = [await calls([]), await calls(all(1))];
    expect(looked.slice(0, 2)).toEqual(plain.slice(0, 2));
    expect(looked[2].length).toBeGreaterThan(2 * plain[2].length);
  });

  it("are the same after stop and resume", async () => {
    const [whole, parts] = [folder(), folder()];
    const data = fewDigits(60);
    await collect(train(east, data, { out: whole, callbacks: all(5) }));
    await collect(train(east, data, { out: parts, callbacks: all(5), stopAfter: 7 }));
    await collect(train(east, data, { out: parts, callbacks: all(5), resume: true }));
    const looks = async (run: string) => (await readEvents(run)).filter(({ type }) => type in diagnostics);
    const events = await looks(whole);
    expect(await looks(parts)).toEqual(events);
    // Epochs of 3 steps: the first end, and the first after 5 and after 10 steps.
    expect(only(events as never, "gradient-flow").map(({ step }) => step)).toEqual([3, 6, 12]);
  });
});

describe("sampling", () => {
  it("takes the first epoch's end, then one after each further so many steps", () => {
    const sampled = sampling({ every: 1000 });
    const steps = Array.from({ length: 10 * 352 }, (_, i) => i + 1).filter((step) => sampled(step, 352));
    expect(steps.map((step) => step / 352)).toEqual([1, 3, 6, 9]);
  });

  it("with an interval of a step takes every epoch's end", () => {
    const sampled = sampling({ every: 1 });
    expect([1, 2, 3, 4, 5, 6].filter((step) => sampled(step, 2))).toEqual([2, 4, 6]);
  });

  it("refuses intervals that are none", () => {
    const message = "every: expected a whole number of steps, at least 1, got 0";
    expect(() => sampling({ every: 0 })).toThrow(message);
  });
});
