#!/usr/bin/env node
"use strict";
// Makes a clone ready to run: dependencies, addon, dist, each only where missing or stale.
const { spawnSync } = require("node:child_process");
const { existsSync, readFileSync } = require("node:fs");
const { join, resolve } = require("node:path");

const root = resolve(__dirname, "..");

function packagesOf(lockFile) {
  return existsSync(lockFile) ? JSON.parse(readFileSync(lockFile, "utf8")).packages : {};
}

/** npm records what it installed in node_modules/.package-lock.json; every package of our lock must be there. */
function dependenciesInstalled() {
  const wanted = packagesOf(join(root, "package-lock.json"));
  const installed = packagesOf(join(root, "node_modules", ".package-lock.json"));
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === "" || optional || installed[path]?.version === version,
  );
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: "inherit", ...options }).status === 0;
}

/** npm's own script when npm started us, so that both are the same npm. */
function npm(...args) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith(".js")) return run(process.execPath, [cli, ...args]);
  return run("npm", args, { shell: process.platform === "win32" });
}

function setup() {
  const major = Number(process.versions.node.split(".")[0]);
  const minor = Number(process.versions.node.split(".")[1]);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`expected Node 20.19 or newer, got ${process.versions.node}`);
  }
  if (!dependenciesInstalled()) {
    process.stdout.write("Installing dependencies …\n");
    if (!npm("ci", "--ignore-scripts") && !npm("install", "--ignore-scripts")) {
      throw new Error("npm could not install the dependencies; its message stands above");
    }
  }
  for (const script of ["build-native.cjs", "build-dist.cjs"]) {
    if (!run(process.execPath, [join(__dirname, script), "--if-missing"])) throw new Error(`${script} failed`);
  }
}

module.exports = { root, setup };

if (require.main === module) {
  try {
    setup();
  } catch (error) {
    process.stderr.write(`setup: ${error.message}\n`);
    process.exit(1);
  }
}
