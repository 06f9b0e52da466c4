// Every kernel at the sizes of a CIFAR ResNet-34, batch 128: see bench/README.md.
import { parseArgs } from "node:util";
import { resolveDevice, threads } from "easting";
import { Bench } from "tinybench";
import { native } from "../dist/native.js";
import { Buffers, cases } from "./kernel-cases.mjs";

const USAGE = `Usage: npm run bench -- [options]

  --filter TEXT  only cases whose name contains the text, such as sparse_conv or 512x4x4
  --time MS      at least so long for each case (default 300)
  --threads T    (default 2)
  --json         one JSON object on standard output instead of a table`;

/** Bytes that the arguments of a case take together, copies included, so that most of them come from memory. */
const beyondCache = 2 ** 28;
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
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${/** @type {Error} */ (error).message}\n\n${USAGE}`);
  }
}

/** Names of a kernel's arguments with their C++ types, in order. @param {string} signature */
function parametersOf(signature) {
  return signature
    .slice(1, -1)
    .split(", ")
    .map((parameter) => {
      const space = parameter.lastIndexOf(" ");
      return { type: parameter.slice(0, space), name: parameter.slice(space + 1) };
    });
}

/**
 * The kernel as a function without arguments. What `args` leaves out is off: no buffer, false.
 * @param {string} kernel @param {Record<string, unknown>} args
 */
function bind(kernel, args) {
  const run = /** @type {Record<string, (...values: unknown[]) => void>} */ (
    /** @type {unknown} */ (native.kernels.cpu.f32)
  )[kernel];
  const parameters = parametersOf(native.signatures[kernel]);
  for (const name of Object.keys(args))
    if (!parameters.some((parameter) => parameter.name === name))
      throw new Error(`expected arguments ${parameters.map((parameter) => parameter.name).join(", ")}, got ${name}`);
  const values = parameters.map(({ name, type }) => {
    if (name in args) return args[name];
    if (type === "bool") return false;
    if (type.startsWith("In<") || type.startsWith("Out<")) return null;
    throw new Error(`expected a value for ${name}, got none`);
  });
  return () => run(...values);
}

/**
 * Median time of one call in milliseconds. Calls only queue work: a sample is as many calls as take about a
 * millisecond, and the wait for the last of them. They take turns on as many copies of the arguments as no cache holds,
 * as in training, where much happens between two uses of a tensor.
 * @param {string} kernel @param {import("./kernel-cases.mjs").Case["args"]} args @param {number} time
 */
function measure(kernel, args, time) {
  const buffers = new Buffers();
  try {
    const copies = [bind(kernel, args(buffers))];
    const count = Math.min(mostCopies, Math.ceil(beyondCache / buffers.size));
    while (copies.length < count) copies.push(bind(kernel, args(buffers)));
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
    bench.add(kernel, () => sample(calls));
    bench.runSync();
    const { result } = bench.tasks[0];
    if (!("latency" in result)) throw new Error(`expected a measurement, got ${result.state}`);
    return { ms: result.latency.p50 / calls, samples: result.latency.samplesCount };
  } finally {
    native.wait();
    buffers.dispose();
  }
}

/** Bytes per second of a copy far larger than any cache, one read and one write counted. @param {number} time */
function copyBandwidth(time) {
  const size = 2 ** 26;
  const { ms } = measure("copy", (buffers) => ({ x: buffers.real(size), y: buffers.real(size) }), time);
  return (8 * size) / (ms / 1000);
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

const all = cases();
const chosen = all.filter(({ kernel, size }) => `${kernel} ${size}`.includes(options.filter));
if (chosen.length === 0)
  fail(`--filter: expected part of a case's name, such as sparse_conv_forward, got ${options.filter}`);

const before = copyBandwidth(time);
const measured = [];
const failures = [];
for (const { kernel, size, density, bytes, flops, args } of chosen) {
  try {
    const { ms, samples } = measure(kernel, args, time);
    measured.push({ kernel, size, density: density ?? null, ms, bytes, flops: flops ?? null, samples });
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
const device = resolveDevice("cpu").reason;
if (options.json) process.stdout.write(`${JSON.stringify({ rows, copyGbPerSecond: bandwidth / 1e9, device })}\n`);
else {
  process.stdout.write(`${device}; a large copy moves ${(bandwidth / 1e9).toFixed(1)} GB/s\n`);
  const lines = [
    ["kernel", "size", "ms", "GB/s", "% of copy", "GFLOP/s"],
    ...rows.map((row) => [
      row.kernel,
      row.size,
      format(row.ms),
      format(row.gbPerSecond),
      row.percentOfCopy.toFixed(0),
      format(row.gflops),
    ]),
  ];
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
