import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type TrainConfigInput, type TrainOptions, train } from "../../src/east/index.js";
import { native } from "../../src/native.js";
import { useDevice } from "../../src/tensor/index.js";
import { readCheckpoint } from "../../src/train/index.js";
import { collect, fewDigits, only, sha256, temporaryFolders } from "../train/tiny.js";

const folder = temporaryFolders();
const data = fewDigits(32); // 4 steps per epoch
const config: TrainConfigInput = {
  ...{ model: "resnet20", method: "east", sparsity: 95, epochs: 6, batch: 8, seed: 5 },
  ...{ cycleUpdateEvery: 3, updateEvery: 5 },
};

afterEach(() => {
  vi.restoreAllMocks();
  useDevice("cuda");
});

async function run(options: TrainOptions, changes: Partial<TrainConfigInput> = {}) {
  const out = options.out ?? folder();
  const events = await collect(train({ ...config, ...changes }, data, { device: "cuda", ...options, out }));
  const losses = only(events, "step").map(({ loss }) => loss);
  return { out, events, losses, checkpoint: (step: number) => join(out, "checkpoints", checkpointName(step)) };
}

const checkpointName = (step: number) => `step-${String(step).padStart(8, "0")}.ckpt`;

/** Positions of the weights that exist, by tensor. */
async function topologies(path: string): Promise<Map<string, number[]>> {
  const { sections } = await readCheckpoint(path);
  const found = [...sections].filter(([name]) => name.startsWith("topology/"));
  return new Map(found.map(([name, positions]) => [name, [...positions]]));
}

describe.skipIf(native.devices().cudaDevices.length === 0)("a run of EAST on CUDA", () => {
  it("takes the CPU's steps: the same topologies after two updates, losses to 1e-4", async () => {
    const cpu = await run({ device: "cpu", stopAfter: 7 });
    const cuda = await run({ stopAfter: 7 });
    expect(only(cuda.events, "topology").map(({ step }) => step)).toEqual([3, 6]);
    expect(cuda.losses).toHaveLength(7);
    for (const [i, loss] of cuda.losses.entries())
      expect(Math.abs(loss / cpu.losses[i] - 1), `step ${i + 1}`).toBeLessThan(1e-4);
    const expected = await topologies(cpu.checkpoint(7));
    expect(expected.size).toBeGreaterThan(10);
    expect(await topologies(cuda.checkpoint(7))).toEqual(expected);
  });

  it("replays what stands still, with the bytes of steps that run one by one", async () => {
    const replay = vi.spyOn(native, "replay");
    const halves: number[] = []; // that were replayed up to the end of each step
    const onStepEnd = () => void halves.push(replay.mock.calls.length);
    const replayed = await run({ stopAfter: 8, callbacks: [{ name: "count", onStepEnd }] });
    // Weights move after steps 3 and 6. A step replays when the one before ran with the same weights, and when it does
    // not ask for gradients of absent ones, as step 3 does for growth.
    expect(halves).toEqual([0, 2, 2, 2, 4, 6, 6, 8]);
    replay.mockClear();
    vi.spyOn(native, "newGraph").mockReturnValue(null as unknown as number); // as where there are no graphs
    const oneByOne = await run({ stopAfter: 8, callbacks: [{ name: "count" }] });
    expect(replay).not.toHaveBeenCalled();
    expect(oneByOne.losses).toEqual(replayed.losses);
    expect(sha256(oneByOne.checkpoint(8))).toBe(sha256(replayed.checkpoint(8)));
  });

  it("stopped and resumed ends with the same bytes", async () => {
    const whole = await run({ stopAfter: 10 });
    const { out, checkpoint } = await run({ stopAfter: 5 });
    await run({ out, resume: true, stopAfter: 10 });
    expect(sha256(checkpoint(10))).toBe(sha256(whole.checkpoint(10)));
  });

  it("goes on where a run on the CPU stopped, and the other way round", async () => {
    const reference = await run({ device: "cpu", stopAfter: 7 });
    for (const [first, second] of [
      ["cpu", "cuda"],
      ["cuda", "cpu"],
    ] as const) {
      const { out } = await run({ device: first, stopAfter: 5 });
      const { losses } = await run({ out, resume: true, device: second, stopAfter: 7 });
      expect(losses).toHaveLength(2);
      for (const [i, loss] of losses.entries()) expect(Math.abs(loss / reference.losses[5 + i] - 1)).toBeLessThan(1e-4);
    }
  });
});
