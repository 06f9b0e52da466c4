// Whole training steps side by side with PyTorch: see bench/README.md.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { resolveCheckpoint, threads, useDevice, version } from "easting";
import { Contestant } from "./contestant.mjs";
import { cpu, cuda, number } from "./devices.mjs";

const USAGE = `Usage: npm run bench:peers -- [options]

  --rows LIST        net:sparsity:config,…; sparsity in percent, config rigl, east, east-dyrelu or growth-step
                     (default: the rows that the project promises; of a GPU, four)
  --checkpoint PATH  masks and weights of this checkpoint or run folder instead of random masks; the rows must fit its
                     network, and default to the one row it was trained as
  --rounds K         rounds in which every contestant runs in turn (default 5)
  --warmup K         steps of each contestant before the first round (default 2; easting at least 10)
  --threads T        threads of each contestant (default 2)
  --device NAME      cpu (default) or cuda, for all
  --batch N          images per step (default 128)
  --storage TYPE     of our activations and their gradients: f32 (default) or bf16
  --json             one JSON object on standard output instead of a table`;

/** What PyTorch runs against each configuration. @type {Record<string, string>} */
const opponents = { rigl: "rigl", east: "east", "east-dyrelu": "east-dyrelu", "growth-step": "dense" };
/** Ours are short, and the first ones of a process meet memory that has never been touched. */
const settlingSteps = 10;
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");

/** @typedef {{ net: string, sparsity: number, config: string }} Row */
/** @typedef {{ threads: number, batch: number, rounds: number, warmup: number, checkpoint: string | undefined, storage: string, device: string, repeat: number }} Options */

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
        device: option("cpu"),
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

/**
 * The Python with a PyTorch for this device, that of the system where it has one for a GPU; or why there is none, in one
 * sentence.
 * @param {string} device
 */
function findPyTorch(device) {
  const usable = ["-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"];
  if (device === "cuda" && spawnSync("python3", usable).status === 0) return { python: "python3", skipped: null };
  const name = device === "cuda" ? "peers-venv-cuda" : "peers-venv";
  const { status, stdout, error } = spawnSync("bash", [join(here, "setup.sh"), name], { encoding: "utf8" });
  const python = join(root, "build", name, "bin", "python");
  if (status === 0) return { python, skipped: null };
  if (status === 3) return { python, skipped: stdout?.trim() };
  const why = error?.message ?? `setup.sh ended with ${status}`;
  return { python, skipped: `PyTorch could not be set up here (${why}), so the comparison with it is skipped.` };
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
function easting({ net, sparsity, config }, { threads, batch, rounds, warmup, checkpoint, storage, device, repeat }) {
  const args = {
    net,
    sparsity,
    config,
    threads,
    batch,
    storage,
    device,
    repeat,
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

/** @param {Row} row @param {import("./devices.mjs").Form} form @param {Options} options */
function torch({ net, sparsity, config }, { name, precision, layout, graph }, options) {
  const { threads, batch, warmup, device, repeat } = options;
  const args = {
    net,
    sparsity: 1 - sparsity / 100,
    config: opponents[config],
    precision,
    layout,
    threads,
    batch,
    device,
    repeat,
    // cuDNN tries its algorithms in the first steps.
    warmup: device === "cuda" ? Math.max(warmup, settlingSteps) : warmup,
  };
  const flags = Object.entries(args).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  return new Contestant(`PyTorch ${net} ${opponents[config]} ${name}`, python, [
    join(here, "pytorch_step.py"),
    ...flags,
    ...(graph ? ["--graph"] : []),
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

/** @param {Contestant} contestant @returns {import("./devices.mjs").Summary} */
function summary({ steps, peakRssBytes, peakDeviceBytes }) {
  const ms = steps.map((step) => step.ms);
  return {
    ms: median(ms),
    minMs: Math.min(...ms),
    maxMs: Math.max(...ms),
    cpuMs: median(steps.map((step) => step.cpuMs)),
    rssMb: peakRssBytes / 1e6,
    deviceMb: peakDeviceBytes / 1e6,
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
    for (const form of skipped ? [] : meeting.forms) {
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
        await pause(meeting.pauseMs);
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
function result(row, ours, theirs, { threads, batch, rounds, checkpoint, repeat }) {
  const easting = summary(ours);
  const ordinary = ours.steps.flatMap((step) => step.ordinaryMs ?? []);
  const { fullWeights, storedWeights, liveWeights, liveLogits, losses } = ours.facts;
  return {
    ...row,
    threads,
    batch,
    rounds,
    stepsPerRound: repeat,
    masks: checkpoint ?? "random",
    eastingMs: easting.ms,
    eastingMinMs: easting.minMs,
    eastingMaxMs: easting.maxMs,
    eastingCpuMs: easting.cpuMs,
    ...meeting.compare(easting, theirs.map(summary)),
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
    torchLoss: theirs[0]?.steps.map((step) => step.loss),
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
    device: reason,
    easting: version,
    node: process.version,
    loadAverage: loadavg()[0],
  };
}

/** @typedef {ReturnType<typeof result>} Result */

/** @param {Result[]} rows */
function table(rows) {
  /** @type {[string, (row: import("./devices.mjs").Row) => string][]} */
  const columns = [
    ["net", ({ net }) => net],
    ["sparsity", ({ sparsity }) => `${sparsity} %`],
    ["config", ({ config }) => config],
    ...meeting.columns,
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
if (given.device !== "cpu" && given.device !== "cuda") fail(`--device: expected cpu or cuda, got ${given.device}`);
const meeting = { cpu, cuda }[given.device];
const { checkpoint } = given;
const options = {
  checkpoint,
  rounds: whole(given.rounds, "--rounds"),
  warmup: whole(given.warmup, "--warmup"),
  threads: whole(given.threads, "--threads"),
  batch: whole(given.batch, "--batch"),
  storage: given.storage,
  device: given.device,
  repeat: meeting.repeat,
};
let rows = given.rows?.split(",").map(parseRow) ?? meeting.rows.map(parseRow);
if (checkpoint) {
  const own = await rowOf(checkpoint).catch((error) => fail(error.message));
  if (!given.rows) rows = [own];
  for (const { net, sparsity } of rows)
    if (net !== own.net || sparsity !== own.sparsity)
      fail(`--rows: expected ${own.net}:${own.sparsity}:…, what ${checkpoint} was trained as, got ${net}:${sparsity}`);
}

/** @type {string} */
let reason;
try {
  reason = useDevice(given.device).reason;
} catch (error) {
  fail(/** @type {Error} */ (error).message);
}
const { python, skipped } = findPyTorch(given.device);
if (skipped && given.device === "cpu") {
  process.stdout.write(given.json ? `${JSON.stringify({ rows: [], skipped })}\n` : `${skipped}\n`);
  process.exit(0);
}
if (skipped) note(skipped);
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
if (given.json)
  process.stdout.write(`${JSON.stringify({ rows: results, machine: about, ...(skipped && { skipped }) })}\n`);
else {
  const { cpu, device, bf16 } = about;
  process.stdout.write(
    `${cpu}; ${device}; bf16 units: ${bf16}. Medians of ${options.rounds} rounds, batch ${options.batch}, ` +
      `${options.threads} threads, masks: ${checkpoint ?? "random"}.\n${table(results)}\n`,
  );
}
