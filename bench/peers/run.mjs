// Whole training steps side by side with PyTorch: see bench/README.md.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { resolveCheckpoint, resolveDevice, threads, version } from "easting";
import { Contestant } from "./contestant.mjs";

const USAGE = `Usage: npm run bench:peers -- [options]

  --rows LIST        net:sparsity:config,…; sparsity in percent, config rigl, east, east-dyrelu or growth-step
                     (default: the rows that the project promises)
  --checkpoint PATH  masks and weights of this checkpoint or run folder instead of random masks; the rows must fit its
                     network, and default to the one row it was trained as
  --rounds K         rounds in which every contestant runs in turn (default 5)
  --warmup K         steps of each contestant before the first round (default 2; easting at least 10)
  --threads T        threads of each contestant (default 2)
  --batch N          images per step (default 128)
  --storage TYPE     of our activations and their gradients: f32 (default) or bf16
  --json             one JSON object on standard output instead of a table`;

const promised = [
  "resnet34:99:rigl",
  "resnet34:99.9:rigl",
  "resnet34:99.95:rigl",
  "resnet34:99.9:east",
  "resnet34:99.95:east",
  "resnet34:99.99:east",
  "resnet34:99.9:east-dyrelu",
  "resnet50:99.9:rigl",
  "resnet34:99.9:growth-step",
];
/** What PyTorch runs against each configuration. @type {Record<string, string>} */
const opponents = { rigl: "rigl", east: "east", "east-dyrelu": "east-dyrelu", "growth-step": "dense" };
/** PyTorch's three forms; the faster of the fp32 ones is "the best fp32". */
const forms = [
  { name: "fp32 channels_last", precision: "fp32", layout: "channels_last" },
  { name: "fp32 contiguous", precision: "fp32", layout: "contiguous" },
  { name: "bf16 channels_last", precision: "bf16", layout: "channels_last" },
];
/** Ours are short, and the first ones of a process meet memory that has never been touched. */
const settlingSteps = 10;
/** So that the threads of the one before are asleep. */
const pauseMs = 50;

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const python = join(root, "build", "peers-venv", "bin", "python");

/** @typedef {{ net: string, sparsity: number, config: string }} Row */
/** @typedef {{ threads: number, batch: number, rounds: number, warmup: number, checkpoint: string | undefined, storage: string }} Options */

/** @param {string} sentence @returns {never} */
function fail(sentence) {
  process.stderr.write(`bench:peers: ${sentence}\n`);
  process.exit(1);
}
const note = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);

function readOptions() {
  const option = (/** @type {string} */ fallback) => /** @type {const} */ ({ type: "string", default: fallback });
  try {
    const { values } = parseArgs({
      options: {
        rows: { type: "string" },
        checkpoint: { type: "string" },
        rounds: option("5"),
        warmup: option("2"),
        threads: option("2"),
        batch: option("128"),
        storage: option("f32"),
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    return fail(`${/** @type {Error} */ (error).message}\n\n${USAGE}`);
  }
}

/** @param {string} text @param {string} flag */
function whole(text, flag) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) fail(`${flag}: expected a whole number of at least 1, got ${text}`);
  return value;
}

/** @param {string} text @returns {Row} */
function parseRow(text) {
  const [net, percent, config, ...rest] = text.split(":");
  const sparsity = Number(percent);
  const valid = ["resnet34", "resnet50"].includes(net) && sparsity >= 0 && sparsity < 100 && config in opponents;
  if (!valid || rest.length > 0)
    fail(
      `--rows: expected net:sparsity:config with net resnet34 or resnet50, sparsity from 0 to below 100 and config one of ` +
        `${Object.keys(opponents).join(", ")}, got ${text}`,
    );
  return { net, sparsity, config };
}

/** The row that a checkpoint was trained as. @param {string} path @returns {Promise<Row>} */
async function rowOf(path) {
  const { content } = await resolveCheckpoint(path);
  const { config } = /** @type {{ config: { model: string, sparsity: number, method: string } }} */ (
    /** @type {unknown} */ (content.header)
  );
  const dynamic = [...content.sections.keys()].some((name) => name.includes(".squeeze."));
  const trained = config.method !== "east" ? "rigl" : dynamic ? "east-dyrelu" : "east";
  return parseRow(`${config.model}:${config.sparsity}:${trained}`);
}

/** Makes PyTorch ready; otherwise says why not, in one sentence, and returns it. */
function setUp() {
  const { status, stdout, error } = spawnSync("bash", [join(here, "setup.sh")], { encoding: "utf8" });
  const sentence = stdout?.trim();
  if (status === 0) return null;
  if (status === 3) return sentence;
  return `PyTorch could not be set up here (${error?.message ?? `setup.sh ended with ${status}`}), so the comparison with it is skipped.`;
}

/** @param {number[]} numbers */
function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Rows that meet the same opponents run in the same rounds. @param {Row[]} rows @returns {Row[][]} */
function grouped(rows) {
  /** @type {Map<string, Row[]>} */
  const groups = new Map();
  for (const row of rows) {
    const key = `${row.net} ${opponents[row.config]}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

/** @param {Row} row @param {Options} options */
function easting({ net, sparsity, config }, { threads, batch, rounds, warmup, checkpoint, storage }) {
  const args = {
    net,
    sparsity,
    config,
    threads,
    batch,
    storage,
    warmup: Math.max(warmup, settlingSteps),
    steps: Math.max(warmup, settlingSteps) + rounds,
    ...(checkpoint && { checkpoint }),
  };
  const flags = Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return new Contestant(`easting ${net} ${sparsity} % ${config}`, process.execPath, [
    join(here, "easting-step.mjs"),
    ...flags,
  ]);
}

/** @param {Row} row @param {typeof forms[number]} form @param {Options} options */
function torch({ net, sparsity, config }, { name, precision, layout }, { threads, batch, warmup }) {
  const args = {
    net,
    sparsity: 1 - sparsity / 100,
    config: opponents[config],
    precision,
    layout,
    threads,
    batch,
    warmup,
  };
  const flags = Object.entries(args).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  return new Contestant(`PyTorch ${net} ${opponents[config]} ${name}`, python, [
    join(here, "pytorch_step.py"),
    ...flags,
  ]);
}

/** Both sides must train the same network on the same batch. @param {Contestant} ours @param {Contestant} theirs */
function checkSame(ours, theirs) {
  for (const fact of ["fullWeights", "ownedWeights", "batch", "threads"])
    if (Number(ours.facts[fact]) !== Number(theirs.facts[fact]))
      throw new Error(
        `expected the same ${fact}, got ${ours.facts[fact]} in ${ours.name} and ${theirs.facts[fact]} in ${theirs.name}`,
      );
}

/** @param {Contestant} contestant */
function summary({ steps, peakRssBytes }) {
  const ms = steps.map((step) => step.ms);
  return {
    ms: median(ms),
    minMs: Math.min(...ms),
    maxMs: Math.max(...ms),
    cpuMs: median(steps.map((step) => step.cpuMs)),
    rssMb: peakRssBytes / 1e6,
  };
}

/** @param {Row[]} rows @param {Options} options */
async function contest(rows, options) {
  const ours = rows.map((row) => easting(row, options));
  /** @type {Contestant[]} */
  let all = [...ours];
  const stop = () => {
    for (const contestant of all) contestant.kill();
  };
  process.once("SIGINT", () => {
    stop();
    process.exit(130);
  });
  try {
    // One after another, so that only one warms up at a time.
    for (const contestant of ours) {
      note(`Warming up ${contestant.name} …`);
      await contestant.ready();
    }
    /** @type {Contestant[]} */
    const theirs = [];
    for (const form of forms) {
      const contestant = torch(rows[0], form, options);
      note(`Warming up ${contestant.name} …`);
      theirs.push(contestant);
      all = [...ours, ...theirs];
      await contestant.ready();
      for (const side of ours) checkSame(side, contestant);
    }
    for (let round = 1; round <= options.rounds; round++) {
      note(`Round ${round} of ${options.rounds} …`);
      for (const contestant of all) {
        await pause(pauseMs);
        await contestant.step();
      }
    }
    for (const contestant of all) await contestant.quit();
    return rows.map((row, i) => result(row, ours[i], theirs, options));
  } finally {
    stop();
    process.removeAllListeners("SIGINT");
  }
}

/** @param {Row} row @param {Contestant} ours @param {Contestant[]} theirs @param {Options} options */
function result(row, ours, theirs, { threads, batch, rounds, checkpoint }) {
  const easting = summary(ours);
  const [channelsLast, contiguous, bf16] = theirs.map(summary);
  const fp32 = channelsLast.ms <= contiguous.ms ? channelsLast : contiguous;
  const ordinary = ours.steps.flatMap((step) => step.ordinaryMs ?? []);
  const { fullWeights, storedWeights, liveWeights, liveLogits, losses } = ours.facts;
  return {
    ...row,
    threads,
    eastingMs: easting.ms,
    torchFp32Ms: fp32.ms,
    torchBf16Ms: bf16.ms,
    ratioFp32: fp32.ms / easting.ms,
    ratioBf16: bf16.ms / easting.ms,
    rssMb: easting.rssMb,
    torchRssMb: fp32.rssMb,
    batch,
    rounds,
    masks: checkpoint ?? "random",
    eastingMinMs: easting.minMs,
    eastingMaxMs: easting.maxMs,
    eastingCpuMs: easting.cpuMs,
    torchFp32Layout: fp32 === channelsLast ? "channels_last" : "contiguous",
    torchFp32ChannelsLastMs: channelsLast.ms,
    torchFp32ContiguousMs: contiguous.ms,
    torchFp32MinMs: fp32.minMs,
    torchFp32MaxMs: fp32.maxMs,
    torchFp32CpuMs: fp32.cpuMs,
    torchBf16CpuMs: bf16.cpuMs,
    torchBf16RssMb: bf16.rssMb,
    ...(ordinary.length > 0 && {
      eastingOrdinaryMs: median(ordinary),
      // What an update every 100 steps adds to training.
      addedPercentAt100: easting.ms / median(ordinary) - 1,
    }),
    density: storedWeights / fullWeights,
    storedWeights,
    liveWeights,
    liveLogits,
    eastingLoss: [...losses, ...ours.steps.map((step) => step.loss)],
    torchLoss: theirs[0].steps.map((step) => step.loss),
  };
}

function machine() {
  let flags = "";
  try {
    flags = readFileSync("/proc/cpuinfo", "utf8");
  } catch {}
  const bf16 = flags.includes("amx_bf16") ? "amx" : flags.includes("avx512_bf16") ? "avx512" : "none known";
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    bf16,
    device: resolveDevice("cpu").reason,
    easting: version,
    node: process.version,
    loadAverage: loadavg()[0],
  };
}

/** @typedef {ReturnType<typeof result>} Result */

/** @param {Result[]} rows */
function table(rows) {
  const number = (/** @type {number} */ value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
  /** @type {[string, (row: Result) => string][]} */
  const columns = [
    ["net", ({ net }) => net],
    ["sparsity", ({ sparsity }) => `${sparsity} %`],
    ["config", ({ config }) => config],
    ["easting ms", (row) => number(row.eastingMs)],
    ["(cpu)", (row) => number(row.eastingCpuMs)],
    ["fp32 ms", (row) => number(row.torchFp32Ms)],
    ["(cpu)", (row) => number(row.torchFp32CpuMs)],
    ["bf16 ms", (row) => number(row.torchBf16Ms)],
    ["(cpu)", (row) => number(row.torchBf16CpuMs)],
    ["× fp32", (row) => number(row.ratioFp32)],
    ["× bf16", (row) => number(row.ratioBf16)],
    ["MB", (row) => number(row.rssMb)],
    ["torch MB", (row) => number(row.torchRssMb)],
    [
      "live",
      (row) => `${((100 * row.liveWeights) / row.storedWeights).toFixed(0)} %${row.liveLogits === 0 ? " †" : ""}`,
    ],
  ];
  const cells = [columns.map(([name]) => name), ...rows.map((row) => columns.map(([, text]) => text(row)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i].length)));
  const lines = cells.map((line) =>
    line.map((cell, i) => (i < 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  "),
  );
  for (const row of rows)
    if (row.eastingOrdinaryMs !== undefined && row.addedPercentAt100 !== undefined)
      lines.push(
        `${row.net} ${row.sparsity} %: an ordinary step takes ${number(row.eastingOrdinaryMs)} ms; ` +
          `an update every 100 steps adds ${row.addedPercentAt100.toFixed(1)} %.`,
      );
  if (rows.some((row) => row.liveLogits === 0))
    lines.push("† No logit depends on the image: with these masks the network cannot learn, its speed means nothing.");
  return lines.join("\n");
}

const given = readOptions();
if (given.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const { checkpoint } = given;
const options = {
  checkpoint,
  rounds: whole(given.rounds, "--rounds"),
  warmup: whole(given.warmup, "--warmup"),
  threads: whole(given.threads, "--threads"),
  batch: whole(given.batch, "--batch"),
  storage: given.storage,
};
let rows = given.rows?.split(",").map(parseRow) ?? promised.map(parseRow);
if (checkpoint) {
  const own = await rowOf(checkpoint).catch((error) => fail(error.message));
  if (!given.rows) rows = [own];
  for (const { net, sparsity } of rows)
    if (net !== own.net || sparsity !== own.sparsity)
      fail(`--rows: expected ${own.net}:${own.sparsity}:…, what ${checkpoint} was trained as, got ${net}:${sparsity}`);
}

const skipped = setUp();
if (skipped) {
  process.stdout.write(given.json ? `${JSON.stringify({ rows: [], skipped })}\n` : `${skipped}\n`);
  process.exit(0);
}
threads(options.threads);
const about = machine();
if (about.loadAverage > 0.5)
  note(`The machine is busy (load ${about.loadAverage.toFixed(1)}): times will be longer than they are, on all sides.`);
/** @type {Result[]} */
const results = [];
for (const group of grouped(rows)) {
  try {
    results.push(...(await contest(group, options)));
  } catch (error) {
    note(`bench:peers: ${/** @type {Error} */ (error).message}`);
    process.exitCode = 1;
  }
}
if (given.json) process.stdout.write(`${JSON.stringify({ rows: results, machine: about })}\n`);
else {
  const { cpu, device, bf16 } = about;
  process.stdout.write(
    `${cpu}; ${device}; bf16 units: ${bf16}. Medians of ${options.rounds} rounds, batch ${options.batch}, ` +
      `${options.threads} threads, masks: ${checkpoint ?? "random"}.\n${table(results)}\n`,
  );
}
