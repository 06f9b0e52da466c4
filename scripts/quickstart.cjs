#!/usr/bin/env node
"use strict";
// From a fresh clone to a trained network with 1 % of its weights: sets up, trains on the embedded digits, evaluates.
const { spawnSync } = require("node:child_process");
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { root, setup } = require("./setup.cjs");

function unusedRunFolder() {
  const base = "runs/quickstart";
  if (!existsSync(join(root, base))) return base;
  let number = 2;
  while (existsSync(join(root, `${base}-${number}`))) number += 1;
  return `${base}-${number}`;
}

function easting(...args) {
  process.stdout.write(`\n$ easting ${args.join(" ")}\n`);
  const { status } = spawnSync(process.execPath, [join(root, "dist", "cli", "index.js"), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) throw new Error(`easting ${args[0]} failed; its message stands above`);
}

try {
  setup();
  const run = unusedRunFolder();
  const training = "--model resnet20 --method east --sparsity 99 --data digits --epochs 30 --seed 1";
  easting("train", ...training.split(" "), "--out", run);
  easting("evaluate", run);
  process.stdout.write(`\nThe run lies in ${run}: receipt, events, checkpoints and result.\n`);
} catch (error) {
  process.stderr.write(`quickstart: ${error.message}\n`);
  process.exit(1);
}
