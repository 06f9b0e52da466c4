import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";
import { compile, encodeModel } from "../../src/compile/index.js";
import { temporaryFolder } from "../cli/easting.js";
import { classNames, imageInput, randomNetwork } from "../compile/networks.js";

vi.setConfig({ testTimeout: 240_000 });
const folder = temporaryFolder();
const path = join(folder, "model.easting");
const network = randomNetwork({ model: "resnet20", mask: "live", count: 2000, side: 32, seed: 4 });
writeFileSync(path, encodeModel(compile(network, imageInput(32), classNames(10)).graph));
network.dispose();

/** Runs a program with the built package in a process of its own, and returns what it printed last. */
function program(text: string): unknown {
  const args = ["--expose-gc", "--input-type=module", "-e", text, path];
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: "" });
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) as string);
}

it("a thousand networks loaded, run and closed leave no memory behind", () => {
  const grown = program(`
    import { load, memory } from "easting";
    const image = new Uint8Array(3 * 32 * 32);
    const cycle = async () => {
      const net = await load(process.argv[1]);
      await net.run([image, image]);
      net.close();
    };
    // Buffers that JavaScript has dropped go in the background.
    const settled = async () => {
      let least = Infinity;
      for (let i = 0; i < 10; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
        const { rss, heapTotal } = process.memoryUsage();
        least = Math.min(least, rss - heapTotal);
      }
      return least;
    };
    // The optimising compiler takes a few megabytes once, whenever it likes; what a cycle loses shows in every round.
    let bytes = Infinity;
    for (let i = 0; i < 20; i++) await cycle();
    for (let round = 0; round < 3 && bytes > 5e6; round++) {
      const before = await settled();
      for (let i = 0; i < 1000; i++) await cycle();
      bytes = (await settled()) - before;
    }
    console.log(JSON.stringify({ bytes, live: memory().live }));
  `) as { bytes: number; live: number };
  expect(grown.live).toBe(0);
  expect(grown.bytes).toBeLessThan(5e6);
});

it("a network left open, with its run awaited by nobody, answers and lets the process end", () => {
  const outcome = program(`
    import { load } from "easting";
    const net = await load(process.argv[1]);
    net.run(new Uint8Array(3 * 32 * 32)).then(([{ top }]) => console.log(top.length));
  `);
  expect(outcome).toBe(5);
});

it("networks that were dropped unclosed are collected", () => {
  const live = program(`
    import { load, memory } from "easting";
    const once = async () => (await (await load(process.argv[1])).run(new Uint8Array(3 * 32 * 32)))[0].index;
    for (let i = 0; i < 3; i++) await once();
    for (let i = 0; i < 100 && memory().live > 0; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    console.log(JSON.stringify(memory().live));
  `);
  expect(live).toBe(0);
});

it("fifty worker threads that are ended in the middle of a run leave the process as it was", () => {
  const outcome = program(`
    import { Worker } from "node:worker_threads";
    import { load, memory } from "easting";
    const code = \`
      import { parentPort, workerData } from "node:worker_threads";
      import { load } from "easting";
      const net = await load(workerData);
      const images = new Uint8Array(16 * 3 * 32 * 32);
      const [{ index }] = await net.run(images.subarray(0, 3 * 32 * 32));
      parentPort.postMessage(index);
      for (;;) await Promise.all([net.run(images), net.run(images)]);
    \`;
    const image = new Uint8Array(3 * 32 * 32);
    const net = await load(process.argv[1]);
    const [{ index }] = await net.run(image);
    let same = 0;
    for (let round = 0; round < 10; round++)
      await Promise.all(Array.from({ length: 5 }, async (_, i) => {
        const worker = new Worker(code, { eval: true, workerData: process.argv[1] });
        const answer = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
        if (answer === index) same++;
        await new Promise((resolve) => setTimeout(resolve, i));
        await worker.terminate();
      }));
    const [after] = await net.run(image);
    net.close();
    console.log(JSON.stringify({ same, after: after.index === index }));
  `);
  expect(outcome).toEqual({ same: 50, after: true });
});
