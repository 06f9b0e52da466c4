#!/usr/bin/env node
"use strict";
// Builds for the GPU of this machine, runs the tests on it, has compute-sanitizer watch it, measures, and writes it down.
const { appendFileSync, mkdirSync, rmSync, writeFileSync } = require("node:fs");
const { delimiter, join, resolve } = require("node:path");
const { parseArgs } = require("node:util");
const { secondsFor } = require("./gpu/budget.cjs");
const { endAll, runCommand } = require("./gpu/command.cjs");
const { collectFacts, findGpu } = require("./gpu/facts.cjs");
const { markdown } = require("./gpu/report.cjs");
const { stagesOf } = require("./gpu/stages.cjs");

const USAGE = `Usage: npm run gpu:verify -- [options]

  --out FOLDER      where report.json, report.md and log.txt go (default build/gpu-report)
  --budget SECONDS  of all stages together (default 530)
  --only TEXT       only the stages whose name contains the text, such as memcheck or steps
  --emulated        the same script on the emulated device, with few tests and one kernel: tests the script, not a GPU
  --help

Ends with 0 if every stage passed. A tool that does not work here has not passed; it is "not run".`;

const root = resolve(__dirname, "..");
const tailLines = 15;

function fail(sentence) {
  process.stderr.write(`gpu-verify: ${sentence}\n`);
  process.exit(1);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        out: { type: "string", default: join(root, "build", "gpu-report") },
        budget: { type: "string", default: "530" },
        only: { type: "string", default: "" },
        emulated: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${error.message}\n\n${USAGE}`);
  }
}

async function main() {
  const options = readOptions();
  if (options.help) return void process.stdout.write(`${USAGE}\n`);
  const budget = Number(options.budget);
  if (!(budget > 0)) fail(`--budget: expected seconds above 0, got ${options.budget}`);
  const start = performance.now();
  const left = () => budget - (performance.now() - start) / 1000;

  process.env.PATH += `${delimiter}/usr/local/cuda/bin`; // where CUDA's installers put it
  const gpu = options.emulated ? { reason: "emulated" } : await findGpu();
  if (gpu.reason && !options.emulated) fail(`expected an NVIDIA GPU, got none (${gpu.reason})`);
  const out = resolve(options.out);
  mkdirSync(out, { recursive: true });
  for (const name of ["report.json", "report.md", "log.txt", "tests.json"]) rmSync(join(out, name), { force: true });

  const { emulated } = options;
  const report = { emulated, facts: await collectFacts(root, gpu), stages: [] };
  const write = () => {
    writeFileSync(join(out, "report.json"), `${JSON.stringify(report, null, 1)}\n`);
    writeFileSync(join(out, "report.md"), markdown(report));
  };
  write();
  for (const [key, value] of Object.entries(report.facts)) process.stdout.write(`${key}: ${value}\n`);
  for (const signal of ["SIGINT", "SIGTERM"])
    process.once(signal, () => {
      endAll();
      write();
      process.exit(1);
    });

  const all = stagesOf({ root, out, emulated, capability: gpu.capability });
  const stages = all.filter(({ name }) => name.includes(options.only));
  if (stages.length === 0)
    fail(`--only: expected part of ${all.map(({ name }) => name).join(", ")}, got ${options.only}`);

  /** Runs one stage and notes what came of it. */
  const perform = async ({ name, command, args, env, skipped, judge }) => {
    const limit = secondsFor(stages, name, left());
    const note = (result) => {
      report.stages.push({ name, limit, ...result });
      write();
      const facts = Object.entries(result.facts).map(([key, value]) => `${key} ${value}`);
      process.stdout.write(`${name}: ${result.status} in ${result.seconds.toFixed(0)} s  ${facts.join(", ")}\n`);
      if (!["passed", "skipped"].includes(result.status) && result.tail) process.stdout.write(`${result.tail}\n`);
    };
    if (skipped) return note({ status: "skipped", seconds: 0, facts: { reason: skipped }, tail: "" });
    if (limit < 1) return note({ status: "not run", seconds: 0, facts: { reason: "no time was left" }, tail: "" });
    process.stdout.write(`${name} … (at most ${limit.toFixed(0)} s)\n`);
    const run = await runCommand(command, args, { seconds: limit, env: { ...env, NO_COLOR: "1" }, cwd: root });
    appendFileSync(join(out, "log.txt"), `=== ${name}\n${run.output}\n`);
    const tail = run.output.trimEnd().split("\n").slice(-tailLines).join("\n");
    note({ seconds: run.seconds, tail, ...judge(run) });
  };
  for (const group of new Set(stages.map((stage) => stage.group)))
    await Promise.all(stages.filter((stage) => stage.group === group).map(perform));

  const good = emulated ? ["passed", "skipped"] : ["passed"];
  const bad = report.stages.filter(({ status }) => !good.includes(status));
  process.stdout.write(
    `${report.stages.length - bad.length} of ${report.stages.length} stages passed; ${join(out, "report.md")}\n`,
  );
  process.exitCode = bad.length > 0 ? 1 : 0;
}

main();
