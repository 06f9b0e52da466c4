#!/usr/bin/env node
"use strict";
// Compiles src/ to dist/ and copies what the compiler leaves behind (embedded data, the dashboard's page).
const { spawnSync } = require("node:child_process");
const { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { dirname, join, relative, resolve } = require("node:path");
const { filesBelow, sourceHash } = require("./source-hash.cjs");

const root = resolve(__dirname, "..");
const source = join(root, "src");
const output = join(root, "dist");
const stamp = join(root, "build", "dist.sources");
const hash = sourceHash(root, ["src", "tsconfig.json"]);

const fresh = existsSync(join(output, "index.js")) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash;
if (process.argv.includes("--if-missing") && fresh) process.exit(0);

rmSync(output, { recursive: true, force: true });
rmSync(stamp, { force: true });
const compiler = require.resolve("typescript/lib/tsc.js", { paths: [root] });
// Where an optional package with types of its own is not installed, --no-check leaves types alone.
const check = process.argv.includes("--no-check") ? ["--noCheck"] : [];
const { status } = spawnSync(process.execPath, [compiler, "-p", root, ...check], { stdio: "inherit" });
if (status !== 0) {
  process.stderr.write("build-dist: the TypeScript compiler found errors; its messages stand above\n");
  process.exit(1);
}
for (const file of filesBelow(source)) {
  if (file.endsWith(".ts")) continue;
  const target = join(output, relative(source, file));
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(file, target);
}
const cli = join(output, "cli", "index.js");
if (existsSync(cli)) chmodSync(cli, 0o755);
mkdirSync(dirname(stamp), { recursive: true });
writeFileSync(stamp, hash);
