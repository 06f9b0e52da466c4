// Every kernel at the sizes of a CIFAR ResNet-34, batch 128: see bench/README.md.
import { parseArgs } from "node:util";
import { threads, useDevice } from "easting";
import { Bench } from "tinybench";
import { native } from "../dist/native.js";
import { convolutions, convolutionTable } from "./conv-crossover.mjs";
import { bind } from "./kernel-call.mjs";
import { Buffers, cases, resnet34, useLibraries } from "./kernel-cases.mjs";

const USAGE = `Usage: npm run bench -- [options]

  --filter TEXT  only cases whose name contains the text, such as sparse_conv or 512x4x4
  --time MS      at least so long for each case (default 300)
  --threads T    (default 2)
  --device NAME  cpu (default) or cuda: times by the GPU's own clock, beside those of the calls
  --json         one JSON object on standard output instead of a table`;

/** Bytes that the arguments of a case take together, copies included, so that most of them come from memory. */
const beyondCache = 2 ** 28;
/** Of the large copy. */
const copyBytes = { cpu: 2 ** 28, cuda: 2 ** 30 };
const mostCopies = 32;

/** @param {string} sentence @returns {never} */
function fail(sentence) {
  process.stderr.write(`bench: ${sentence}\n`);
  process.exit(1);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        filter: { type: "string", default: "" },
        time: { type: "string", default: "300" },
        threads: { type: "string", default: "2" },
        device: { type: "string", default: "cpu" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${/** @type {Error} */ (error).message}\n\n${USAGE}`);
  }
}

/**
 * Median time of one call in milliseconds. Calls only queue work: a sample is as many calls as take about a
 * millisecond, and the wait for the last of them. They take turns on as many copies of the arguments as no cache holds,
 * as in training, where much happens between two uses of a tensor.
 * @param {string} name @param {(buffers: Buffers) => () => void} prepare @param {number} time
 */
function measure(name, prepare, time) {
  const buffers = new Buffers();
  try {
    const copies = [prepare(buffers)];
    const count = Math.min(mostCopies, Math.ceil(beyondCache / buffers.size));
    while (copies.length < count) copies.push(prepare(buffers));
    let next = 0;
    const sample = (/** @type {number} */ calls) => {
      for (let k = 0; k < calls; k++) copies[next++ % copies.length]();
      native.wait();
    };
    sample(copies.length); // touches every page
    const start = performance.now();
    sample(1);
    const calls = Math.min(1000, Math.max(1, Math.ceil(1 / (performance.now() - start))));
    const bench = new Bench({ time, iterations: 5, warmupTime: time / 5, warmupIterations: 1, throws: true });
    bench.add(name, () => sample(calls));
    bench.runSync();
    const { result } = bench.tasks[0];
    if (!("latency" in result)) throw new Error(`expected a measurement, got ${result.state}`);
    const callMs = result.latency.p50 / calls;
    if (device === "cuda") return { ...onDevice(copies, time), callMs };
    return { ms: callMs, callMs, samples: result.latency.samplesCount };
  } finally {
    native.wait();
    buffers.dispose();
  }
}

/**
 * Median time of one call by the GPU's clock: rounds through all copies as one graph, so that no kernel waits for its
 * launch, as in a step that is replayed.
 * @param {(() => void)[]} copies @param {number} time
 */
function onDevice(copies, time) {
  /** @param {() => void} work */
  const clock = (work) => {
    native.mark(0);
    work();
    native.mark(1);
    return native.elapsed(0, 1);
  };
  const round = () => {
    for (const run of copies) run();
  };
  const rounds = Math.min(Math.ceil(1000 / copies.length), Math.ceil(1 / clock(round)));
  const graph = native.newGraph();
  try {
    native.beginCapture(graph, 0);
    for (let k = 0; k < rounds; k++) round();
    native.endCapture(graph);
    const replay = () => native.replay(graph, 0);
    clock(replay); // the first one uploads the graph
    const samples = [];
    for (const end = performance.now() + time; samples.length < 5 || performance.now() < end; )
      samples.push(clock(replay));
    const median = samples.sort((a, b) => a - b)[samples.length >> 1];
    return { ms: median / rounds / copies.length, samples: samples.length };
  } finally {
    native.freeGraph(graph);
  }
}

/** Bytes per second of a copy far larger than any cache, one read and one write counted. @param {number} time */
function copyBandwidth(time) {
  const bytes = copyBytes[device];
  const copy = (/** @type {Buffers} */ buffers) => {
    const [x, y] = [buffers.real(bytes / 4), buffers.real(bytes / 4)];
    return device === "cuda" ? () => native.copy(x, y) : bind("copy", { x, y });
  };
  return (2 * bytes) / (measure("copy", copy, time).ms / 1000);
}

const options = readOptions();
if (options.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const time = Number(options.time);
const wanted = Number(options.threads);
if (!(time > 0)) fail(`--time: expected milliseconds above 0, got ${options.time}`);
if (!Number.isInteger(wanted) || wanted < 1)
  fail(`--threads: expected a whole number of at least 1, got ${options.threads}`);
threads(wanted);
const { device, reason } = chosenDevice();

function chosenDevice() {
  try {
    return useDevice(/** @type {import("easting").DeviceRequest} */ (options.device));
  } catch (error) {
    return fail(/** @type {Error} */ (error).message);
  }
}

const all = cases(resnet34, useLibraries());
const chosen = all.filter(({ kernel, size }) => `${kernel} ${size}`.includes(options.filter));
if (chosen.length === 0)
  fail(`--filter: expected part of a case's name, such as sparse_conv_forward, got ${options.filter}`);

const before = copyBandwidth(time);
const measured = [];
const failures = [];
for (const { kernel, size, density, bytes, flops, args } of chosen) {
  try {
    const times = measure(kernel, (buffers) => bind(kernel, args(buffers)), time);
    measured.push({ kernel, size, density: density ?? null, ...times, bytes, flops: flops ?? null });
    process.stderr.write(".");
  } catch (error) {
    failures.push(`${kernel} ${size}: ${/** @type {Error} */ (error).message}`);
  }
}
process.stderr.write("\n");
// What else the machine does can only slow a copy down.
const bandwidth = Math.max(before, copyBandwidth(time));

const rows = measured.map(({ bytes, flops, ...row }) => ({
  ...row,
  gbPerSecond: bytes / row.ms / 1e6,
  percentOfCopy: (100 * bytes) / (row.ms / 1000) / bandwidth,
  gflops: flops === null ? null : flops / row.ms / 1e6,
}));
const layers = device === "cuda" ? convolutions(rows) : [];
if (options.json) {
  const record = { rows, copyGbPerSecond: bandwidth / 1e9, device: reason, convolutions: layers };
  process.stdout.write(`${JSON.stringify(record)}\n`);
} else {
  process.stdout.write(`${reason}; a large copy moves ${(bandwidth / 1e9).toFixed(1)} GB/s\n`);
  /** @type {[string, (row: typeof rows[number]) => string][]} */
  const columns = [
    ["kernel", ({ kernel }) => kernel],
    ["size", ({ size }) => size],
    ["ms", ({ ms }) => format(ms)],
    ["GB/s", ({ gbPerSecond }) => format(gbPerSecond)],
    ["% of copy", ({ percentOfCopy }) => percentOfCopy.toFixed(0)],
    ["GFLOP/s", ({ gflops }) => format(gflops)],
  ];
  if (device === "cuda") columns.splice(3, 0, ["call ms", ({ callMs }) => format(callMs)]);
  print([columns.map(([name]) => name), ...rows.map((row) => columns.map(([, text]) => text(row)))]);
  if (layers.length > 0) print(convolutionTable(layers));
}

/** Two columns of names, then numbers. @param {string[][]} lines */
function print(lines) {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  for (const line of lines)
    process.stdout.write(
      `${line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ")}\n`,
    );
}

/** @param {number | null} value */
function format(value) {
  if (value === null) return "";
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1)
      : value >= 1
        ? value.toFixed(2)
        : value.toFixed(4);
}

const missing = Object.keys(native.signatures).filter((name) => !all.some(({ kernel }) => kernel === name));
for (const name of missing) failures.push(`${name}: expected a case in bench/kernel-cases.mjs, got none`);
if (failures.length > 0) fail(failures.join("\nbench: "));
