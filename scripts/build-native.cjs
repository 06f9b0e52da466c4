#!/usr/bin/env node
"use strict";
// Builds the addon with CMake: the one path used by npm install, the prebuilds and node-gyp alike.
const { spawnSync } = require("node:child_process");
const { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { availableParallelism } = require("node:os");
const { dirname, join, resolve } = require("node:path");
const { parseArgs } = require("node:util");
const { sourceHash } = require("./source-hash.cjs");

const USAGE = `Usage: node scripts/build-native.cjs [options]

  --if-missing          build only when the library is missing or older than its sources
  --cuda auto|on|off    CUDA backend (default: EASTING_CUDA or auto: where nvcc is found); emulated, for tests, builds it
                        to run on the CPU, in build/cuda-emulation: run with EASTING_PREBUILD=$PWD/build/cuda-emulation
  --cuda-archs <list>   CUDA architectures, separated by ";" (default: EASTING_CUDA_ARCHS or 90)
  --sanitize <name>     address, undefined or thread; the library then lies in build/<name>/build/Release:
                        run with EASTING_PREBUILD=$PWD/build/<name> and the sanitizer's runtime in LD_PRELOAD
  --werror              treat compiler warnings as errors
  --clean               start from an empty build folder
  --help`;

const root = resolve(__dirname, "..");

function fail(sentence) {
  process.stderr.write(`build-native: ${sentence}\n`);
  process.exit(1);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        "if-missing": { type: "boolean", default: false },
        cuda: { type: "string", default: process.env.EASTING_CUDA || "auto" },
        "cuda-archs": { type: "string", default: process.env.EASTING_CUDA_ARCHS || "90" },
        sanitize: { type: "string", default: "" },
        werror: { type: "boolean", default: false },
        clean: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${error.message}\n\n${USAGE}`);
  }
}

function packageFolder(name) {
  try {
    return dirname(require.resolve(`${name}/package.json`, { paths: [root] }));
  } catch {
    return fail(
      `expected the package ${name}, found none; run \`npm install --no-save cmake-js@8 node-addon-api@8\` and try again`,
    );
  }
}

function runs(command) {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

function requireTools() {
  if (!runs("cmake")) fail("expected cmake 3.22 or newer in PATH, found none; on Debian: apt-get install cmake g++");
  const compilers = [process.env.CXX, "c++", "g++", "clang++"].filter(Boolean);
  if (!compilers.some(runs)) fail("expected a C++20 compiler in PATH, found none; on Debian: apt-get install g++");
}

function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const cuda = options.cuda.toUpperCase();
  if (!["AUTO", "ON", "OFF", "EMULATED"].includes(cuda))
    fail(`--cuda: expected auto, on, off or emulated, got ${options.cuda}`);
  if (!["", "address", "undefined", "thread"].includes(options.sanitize)) {
    fail(`--sanitize: expected address, undefined or thread, got ${options.sanitize}`);
  }
  if (!existsSync(join(root, "native", "addon.cc"))) fail("expected the native sources in native/, found none");

  const flavour = [cuda === "EMULATED" && "cuda-emulation", options.sanitize].filter(Boolean).join("-");
  const work = join(root, "build", `cmake-${flavour || "release"}`);
  const output = join(root, "build", ...(flavour ? [flavour, "build"] : []), "Release");
  const library = join(output, "easting.node");
  const stamp = join(output, "easting.sources");
  const settings = JSON.stringify([cuda, options["cuda-archs"], options.sanitize, process.arch, process.platform]);
  const hash = sourceHash(
    root,
    ["native", "CMakeLists.txt", ...(cuda === "EMULATED" ? ["test/cuda-emulation"] : [])],
    settings,
  );
  const fresh = existsSync(library) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash;
  if (options["if-missing"] && fresh) return;

  requireTools();
  const cmakeJs = join(packageFolder("cmake-js"), "bin", "cmake-js");
  const defines = {
    EASTING_CUDA: cuda,
    EASTING_CUDA_ARCHS: options["cuda-archs"],
    EASTING_SANITIZE: options.sanitize,
    EASTING_WERROR: options.werror ? "ON" : "OFF",
    EASTING_OUTPUT: output,
    EASTING_NODE_ADDON_API: packageFolder("node-addon-api"),
  };
  // A surrounding make or npm leaks its job server and compiler flags into CMake.
  const environment = { ...process.env };
  for (const name of ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"]) delete environment[name];

  if (options.clean) rmSync(work, { recursive: true, force: true });
  rmSync(stamp, { force: true });
  mkdirSync(output, { recursive: true });
  const common = ["-l", "warn", "-d", root, "-O", work, "-B", "Release"];
  const steps = [
    ["configure", ...common, ...Object.entries(defines).map(([key, value]) => `--CD${key}=${value}`)],
    ["build", ...common, "-p", String(availableParallelism())],
  ];
  for (const step of steps) {
    const { status } = spawnSync(process.execPath, [cmakeJs, ...step], {
      cwd: root,
      env: environment,
      stdio: "inherit",
    });
    if (status !== 0) fail(`cmake-js ${step[0]} failed; its message stands above`);
  }
  if (!existsSync(library)) fail(`expected ${library} after the build, found none`);
  writeFileSync(stamp, hash);
}

main();
