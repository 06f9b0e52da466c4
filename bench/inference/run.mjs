// Inference side by side with ONNX Runtime on the dense twins: see bench/README.md.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { costOf, decodeModel, resolveDevice, version } from "easting";
import { Contestant } from "../peers/contestant.mjs";
import { cases, modelFile } from "./networks.mjs";

const USAGE = `Usage: npm run bench:inference -- [options]

  --filter TEXT   only networks whose name contains this
  --rounds K      rounds in which every contestant runs in turn (default 5)
  --seconds S     how long each runs in a round (default 0.5)
  --json          one JSON object on standard output instead of a table`;

const here = dirname(fileURLToPath(import.meta.url));
const python = join(here, "..", "..", "build", "inference-venv", "bin", "python");
/** Latency on one core; latency and throughput on two. */
const settings = [
  { threads: 1, batch: 1 },
  { threads: 2, batch: 1 },
  { threads: 2, batch: 2 },
  { threads: 2, batch: 32 },
];

const option = (/** @type {string} */ fallback) => /** @type {const} */ ({ type: "string", default: fallback });
const { values } = parseArgs({
  options: {
    filter: option(""),
    rounds: option("5"),
    seconds: option("0.5"),
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const note = (/** @type {string} */ text) => process.stderr.write(`${text}\n`);

/** @param {number[]} numbers */
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** @param {Contestant} contestant */
function summary({ steps, peakRssBytes }) {
  const fastest = steps.map((step) => /** @type {any} */ (step).minMs);
  return {
    ms: median(steps.map(({ ms }) => ms)),
    minMs: Math.min(...fastest),
    cpuMs: median(steps.map(({ cpuMs }) => cpuMs)),
    rssMb: peakRssBytes / 1e6,
  };
}

/** @param {import("./networks.mjs").Case} network @param {string} model @param {typeof settings[number]} setting @param {boolean} dense */
async function contest(network, model, { threads, batch }, dense) {
  const flags = ["--threads", String(threads), "--batch", String(batch), "--seconds", values.seconds];
  const { name, side, classes } = network;
  const ours = new Contestant(`easting ${name}`, process.execPath, [join(here, "easting-run.mjs"), model, ...flags]);
  const twin = ["--model", network.model, "--side", String(side), "--classes", String(classes)];
  const theirs = dense
    ? new Contestant(`ONNX Runtime ${name}`, python, [join(here, "onnxruntime_run.py"), ...twin, ...flags])
    : null;
  const all = theirs ? [ours, theirs] : [ours];
  try {
    for (const contestant of all) await contestant.ready();
    for (let round = 0; round < Number(values.rounds); round++) for (const contestant of all) await contestant.step();
    for (const contestant of all) await contestant.quit();
  } finally {
    for (const contestant of all) contestant.kill();
  }
  const easting = summary(ours);
  const onnxRuntime = theirs && { ...summary(theirs), version: theirs.facts.ready, macs: theirs.facts.macs };
  const ratio = onnxRuntime && {
    ms: onnxRuntime.ms / easting.ms,
    minMs: onnxRuntime.minMs / easting.minMs,
    cpuMs: onnxRuntime.cpuMs / easting.cpuMs,
  };
  return { threads, batch, easting, onnxRuntime, ratio, imagesPerSecond: (batch * 1000) / easting.ms };
}

const { status, stdout } = spawnSync("bash", [join(here, "setup.sh")], { encoding: "utf8" });
const skipped = status === 0 ? null : stdout?.trim() || "ONNX Runtime could not be set up here.";
if (skipped) note(skipped);
const machine = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  device: resolveDevice("cpu").reason,
  easting: version,
  node: process.version,
  loadAverage: loadavg()[0],
};
if (machine.loadAverage > 0.5)
  note(
    `The machine is busy (load ${machine.loadAverage.toFixed(1)}): times will be longer than they are, on all sides.`,
  );
const rows = [];
for (const network of cases.filter(({ name }) => name.includes(values.filter))) {
  const model = await modelFile(network);
  const { weights, channels, macs, memoryBytes } = costOf(decodeModel(readFileSync(model)));
  for (const setting of settings) {
    note(`${network.name}, ${setting.threads} threads, batch ${setting.batch} …`);
    const result = await contest(network, model, setting, !skipped);
    rows.push({
      network: network.name,
      weights,
      channels,
      macs,
      memoryBytes,
      bytes: readFileSync(model).length,
      ...result,
    });
  }
}
if (values.json) process.stdout.write(`${JSON.stringify({ rows, machine, skipped })}\n`);
else {
  const digits = (/** @type {number | undefined} */ value) => (value === undefined ? "–" : value.toPrecision(3));
  const cells = rows.map(({ network, threads, batch, easting, onnxRuntime, ratio, imagesPerSecond, macs }) => [
    network,
    String(threads),
    String(batch),
    `${(macs / 1e6).toFixed(2)} M`,
    digits(easting.ms),
    digits(easting.minMs),
    digits(easting.cpuMs),
    imagesPerSecond.toFixed(0),
    digits(onnxRuntime?.ms),
    digits(onnxRuntime?.minMs),
    digits(onnxRuntime?.cpuMs),
    digits(ratio?.ms),
    digits(ratio?.minMs),
    digits(ratio?.cpuMs),
  ]);
  const heading = [
    "network",
    "threads",
    "batch",
    "MACs",
    "ms",
    "(min)",
    "(cpu)",
    "images/s",
    "ORT ms",
    "(min)",
    "(cpu)",
    "ratio",
    "(min)",
    "(cpu)",
  ];
  const widths = heading.map((cell, i) =>
    Math.max(...[cell, ...cells.map((row) => row[i])].map(({ length }) => length)),
  );
  for (const row of [heading, ...cells])
    process.stdout.write(
      `${row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("  ")}\n`,
    );
  process.stdout.write(
    `${machine.cpu}; ${machine.device}. Medians and minima over ${values.rounds} rounds; ONNX Runtime on the dense twin.\n`,
  );
}
