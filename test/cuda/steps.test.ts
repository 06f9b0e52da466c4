import { afterEach, describe, expect, it } from "vitest";
import { native } from "../../src/native.js";
import { useDevice } from "../../src/tensor/index.js";
import { readCheckpoint } from "../../src/train/index.js";
import { only } from "../train/tiny.js";
import { run } from "./east-run.js";

afterEach(() => {
  useDevice("cuda");
});

/** Positions of the weights that exist, by tensor. */
async function topologies(path: string): Promise<Map<string, number[]>> {
  const { sections } = await readCheckpoint(path);
  const found = [...sections].filter(([name]) => name.startsWith("topology/"));
  return new Map(found.map(([name, positions]) => [name, [...positions]]));
}

describe.skipIf(native.devices().cudaDevices.length === 0)("a run of EAST on CUDA", () => {
  it("takes the CPU's steps: the same topologies after two updates, losses to 1e-4", { timeout: 300_000 }, async () => {
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
});
