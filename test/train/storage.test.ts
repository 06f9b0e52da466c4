import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { train } from "../../src/east/index.js";
import { threads } from "../../src/tensor/index.js";
import { collect, fewDigits, only, sha256, temporaryFolders } from "./tiny.js";

const folder = temporaryFolders();
const allThreads = threads();
afterEach(() => {
  threads(allThreads);
});

// 10 steps per epoch; EAST has all kinds of layers: DyReLU, then ReLU, shared weights, topology updates.
const data = fewDigits(160);
const config = { model: "resnet20", method: "east", sparsity: 90, epochs: 6, batch: 16, seed: 5 } as const;
const half = { ...config, storage: "bf16", cycleUpdateEvery: 5 } as const;
const last = (out: string) => {
  const name = "step-00000060.ckpt";
  expect(readdirSync(join(out, "checkpoints"))).toContain(name);
  return sha256(join(out, "checkpoints", name));
};

it("with activations in bf16 a run learns about as with f32", async () => {
  const [single, stored] = await Promise.all(
    (["f32", "bf16"] as const).map((storage) => collect(train({ ...half, storage }, data))),
  );
  const [first, second] = [single, stored].map((events) => only(events, "epoch").map(({ trainLoss }) => trainLoss));
  expect(second).not.toEqual(first);
  expect(second[5]).toBeLessThan(0.9 * second[0]);
  expect(Math.abs(second[5] - first[5])).toBeLessThan(0.25);
});

it("with activations in bf16 the final checkpoint is the same with 1 thread, with 2, and after a stop", async () => {
  const [one, two, resumed] = [folder(), folder(), folder()];
  threads(1);
  await collect(train(half, data, { out: one }));
  threads(2);
  await collect(train(half, data, { out: two }));
  await collect(train(half, data, { out: resumed, stopAfter: 23 }));
  await collect(train(half, data, { out: resumed, resume: true }));
  expect([last(two), last(resumed)]).toEqual([last(one), last(one)]);
});
