import { afterEach, describe, expect, it, vi } from "vitest";
import { native } from "../../src/native.js";
import { useDevice } from "../../src/tensor/index.js";
import { sha256 } from "../train/tiny.js";
import { run } from "./east-run.js";

afterEach(() => {
  vi.restoreAllMocks();
  useDevice("cuda");
});

describe.skipIf(native.devices().cudaDevices.length === 0)("a run of EAST on CUDA", () => {
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
