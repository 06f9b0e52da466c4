// What a step costs as density, batch and threads grow, with the memory floor beside it: see bench/README.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { svg, synchronize, Tensor, threads, version } from "easting";
import { Contestant } from "./peers/contestant.mjs";

const USAGE = `Usage: npm run bench:cost -- [options]

  --steps K   steps timed for each point (default 9); ten more go before them
  --out DIR   where cost.json and the plots go (default docs/plots)`;

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "9" },
    out: { type: "string", default: join(here, "..", "docs", "plots") },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const steps = Number(values.steps);
const most = cpus().length;

/** Passes over memory for each output of a convolution (docs/architecture.md). */
const passes = 7.5;
const densities = [1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0005, 0.0003, 0.0001];
const batches = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const threadCounts = Array.from({ length: most }, (_, i) => i + 1);

/** GB/s, read and written, of copying 256 MB. @param {number} count of threads */
async function bandwidth(count) {
  threads(count);
  const [from, to] = [Tensor.zeros([2 ** 26]), Tensor.zeros([2 ** 26])];
  await synchronize();
  const seconds = [];
  for (let k = 0; k < 7; k++) {
    const start = performance.now();
    from.kernels.copy(from.buffer, to.buffer, false);
    await synchronize();
    seconds.push((performance.now() - start) / 1000);
  }
  from.dispose();
  to.dispose();
  return (2 * 4 * 2 ** 26) / Math.min(...seconds) / 1e9;
}

/**
 * @typedef {object} Point
 * @property {number} density @property {number} batch @property {number} threads
 * @property {number} ms median of a step @property {number} floorMs its passes at the bandwidth of a copy
 * @property {number} liveWeights @property {number} gigabytes peak memory @property {number} idle share of a step without kernel
 * @property {number} eventLoopP99Ms
 */

/** @param {{ density: number, batch: number, threads: number }} at @param {number} gigabytesPerSecond @returns {Promise<Point>} */
async function measure(at, gigabytesPerSecond) {
  const sparsity = Number((100 * (1 - at.density)).toFixed(6));
  const config = at.density === 1 ? "dense" : "rigl";
  const warmup = at.density > 0.02 ? 2 : 10;
  const options = {
    net: "resnet34",
    sparsity,
    config,
    batch: at.batch,
    threads: at.threads,
    warmup,
    steps: warmup + steps,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const contestant = new Contestant("easting", process.execPath, [join(here, "peers", "easting-step.mjs"), ...args]);
  await contestant.ready();
  for (let k = 0; k < steps; k++) await contestant.step();
  await contestant.quit();
  const { liveOutputs, liveWeights } = contestant.facts;
  return {
    ...at,
    ms: median(contestant.steps.map(({ ms }) => ms)),
    floorMs: (passes * 4 * liveOutputs * at.batch) / gigabytesPerSecond / 1e6,
    liveWeights,
    gigabytes: contestant.peakRssBytes / 1e9,
    idle: median(contestant.steps.map(({ ms, kernelMs = ms }) => 1 - kernelMs / ms)),
    eventLoopP99Ms: contestant.eventLoopP99Ms,
  };
}

const median = (/** @type {number[]} */ list) => list.sort((a, b) => a - b)[list.length >> 1];

/**
 * Milliseconds against one quantity, both logarithmic, the floor dashed.
 * @param {string} name @param {string} title @param {Point[]} points @param {"density" | "batch" | "threads"} by
 * @param {string} lines what one line is @param {(point: Point) => string} line
 */
async function plot(name, title, points, by, lines, line) {
  const rows = points.flatMap((point) => [
    { x: point[by], ms: point.ms, line: line(point), what: "measured" },
    { x: point[by], ms: point.floorMs, line: line(point), what: "floor" },
  ]);
  const axis = { field: "ms", type: "quantitative", scale: { type: "log" }, title: "ms per step" };
  const picture = await svg({
    title,
    width: 480,
    height: 300,
    background: "white",
    data: { values: rows.filter(({ ms }) => ms > 0) }, // no live output, no floor
    mark: { type: "line", point: true },
    encoding: {
      x: { field: "x", type: "quantitative", scale: { type: "log" }, title: by },
      y: axis,
      color: { field: "line", type: "nominal", title: lines },
      strokeDash: { field: "what", type: "nominal", title: null, sort: ["measured", "floor"] },
    },
  });
  writeFileSync(join(values.out, `${name}.svg`), picture);
}

mkdirSync(values.out, { recursive: true });
const copies = new Map();
for (const count of threadCounts) copies.set(count, await bandwidth(count));
/** @param {number} density @param {number} batch @param {number} count */
const point = async (density, batch, count) => {
  const result = await measure({ density, batch, threads: count }, copies.get(count));
  process.stderr.write(
    `density ${density} batch ${batch} threads ${count}: ${result.ms.toFixed(1)} ms, floor ${result.floorMs.toFixed(1)} ms\n`,
  );
  return result;
};
const byDensity = [];
for (const density of densities) byDensity.push(await point(density, 128, most));
const byBatch = [];
for (const density of [0.01, 0.001]) for (const batch of batches) byBatch.push(await point(density, batch, most));
const byThreads = [];
for (const density of [0.01, 0.001, 0.0005])
  for (const count of threadCounts) byThreads.push(await point(density, 128, count));

await plot(
  "density",
  `ResNet-34 on 32 × 32 images, batch 128, ${most} threads`,
  byDensity,
  "density",
  "batch",
  ({ batch }) => String(batch),
);
await plot("batch", `ResNet-34 on 32 × 32 images, ${most} threads`, byBatch, "batch", "density", ({ density }) =>
  String(density),
);
await plot("threads", "ResNet-34 on 32 × 32 images, batch 128", byThreads, "threads", "density", ({ density }) =>
  String(density),
);
const machine = { cpu: cpus()[0].model, cores: most, load: loadavg(), easting: version };
const record = { machine, copyGigabytesPerSecond: Object.fromEntries(copies), byDensity, byBatch, byThreads };
writeFileSync(join(values.out, "cost.json"), `${JSON.stringify(record, null, 1)}\n`);
process.stdout.write(`${join(values.out, "cost.json")} and three plots written\n`);
