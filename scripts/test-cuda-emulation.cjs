#!/usr/bin/env node
"use strict";
// Runs the CUDA kernels' own arithmetic and indexing on the CPU (test/cuda-emulation): no GPU result, and said so.
const { spawnSync } = require("node:child_process");
const { join, resolve } = require("node:path");

const root = resolve(__dirname, "..");
const suites = ["test/cuda", "test/optim", "test/ops/conv-algorithm.test.ts"];

function run(script, args, env) {
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

run("scripts/build-native.cjs", ["--cuda", "emulated", "--if-missing"]);
process.stdout.write("emulated CUDA device: no GPU took part in what follows\n");
const chosen = process.argv.slice(2);
run(
  "node_modules/vitest/vitest.mjs",
  ["run", "--outputFile.json=build/cuda-emulation-report.json", ...(chosen.length ? chosen : suites)],
  {
    EASTING_PREBUILD: join(root, "build", "cuda-emulation"),
    EASTING_DEVICE: "cuda",
  },
);
