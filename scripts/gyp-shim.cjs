#!/usr/bin/env node
"use strict";
// Stands in for node-gyp where a tool (prebuildify) insists on calling it: whatever it asks for, CMake builds.
const { spawnSync } = require("node:child_process");
const { join } = require("node:path");

const RELEASE_ARCHITECTURES = "75-real;80-real;86-real;89-real;90-real;100-real;120";

const { status } = spawnSync(process.execPath, [join(__dirname, "build-native.cjs")], {
  stdio: "inherit",
  env: { ...process.env, EASTING_CUDA_ARCHS: process.env.EASTING_CUDA_ARCHS || RELEASE_ARCHITECTURES },
});
process.exit(status ?? 1);
