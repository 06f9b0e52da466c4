#!/usr/bin/env node
"use strict";
// Runs the CUDA kernels' own arithmetic and indexing on the CPU (test/cuda-emulation): no GPU result, and said so.
const { execFileSync, spawnSync } = require("node:child_process");
const { join, resolve } = require("node:path");
const { parseArgs } = require("node:util");

const USAGE = `Usage: npm run test:cuda-emulation [-- [--address] [FILES]]

  --address  with AddressSanitizer, each tensor a block of its own: fewer tests, for places out of bounds`;

const root = resolve(__dirname, "..");
// What computes with tensors, but for two files about the processor's own kernels and one that trains by every method.
const all = ["test/cuda", "test/nn", "test/ops", "test/optim", "test/sparse", "test/tensor"];
const left = ["test/ops/blocked-conv.test.ts", "test/ops/instruction-sets.test.ts", "test/sparse/conformance.test.ts"];
const indexing = ["test/ops/cases.test.ts", "test/cuda/top-k.test.ts", "test/cuda/steps.test.ts"];

function run(script, args, env) {
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

function readOptions() {
  try {
    return parseArgs({
      options: { address: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
      allowPositionals: true,
    });
  } catch (error) {
    process.stderr.write(`test:cuda-emulation: ${error.message}\n${USAGE}\n`);
    process.exit(1);
  }
}

const { values, positionals } = readOptions();
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const build = values.address ? "cuda-emulation-address" : "cuda-emulation";
const sanitize = values.address ? ["--sanitize", "address"] : [];
run("scripts/build-native.cjs", ["--cuda", "emulated", "--if-missing", ...sanitize]);
process.stdout.write("emulated CUDA device: no GPU took part in what follows\n");
const sanitizer = values.address && {
  LD_PRELOAD: execFileSync("g++", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim(),
  ASAN_OPTIONS: "detect_leaks=0",
};
const usual = values.address ? indexing : [...all, ...left.flatMap((file) => ["--exclude", file])];
run(
  "node_modules/vitest/vitest.mjs",
  ["run", `--outputFile.json=build/${build}-report.json`, ...(positionals.length > 0 ? positionals : usual)],
  { EASTING_PREBUILD: join(root, "build", build), EASTING_DEVICE: "cuda", ...sanitizer },
);
