#!/usr/bin/env node
// Compiles src/compile/runtime/wasm.c with clang and wasm-ld, and writes src/compile/targets/wasm/runtime.ts.
// With --check it only compares, and fails on a difference.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const to = join(root, "src", "compile", "targets", "wasm", "runtime.ts");
const scratch = mkdtempSync(join(tmpdir(), "easting-"));
const flags = [
  "--target=wasm32",
  "-std=c99",
  "-O2",
  "-fno-unroll-loops",
  "-fno-inline-functions",
  "-msimd128",
  "-fno-builtin",
  "-nostdlib",
  "-Wall",
  "-Wextra",
  "-Werror",
];
const link = ["--no-entry", "--stack-first", "-zstack-size=4096", "--strip-all"].map((flag) => `-Wl,${flag}`);

function compile(numbers) {
  const output = join(scratch, `${numbers}.wasm`);
  const source = join(root, "src", "compile", "runtime", "wasm.c");
  execFileSync("clang", [...flags, ...link, `-DEASTING_ARITHMETIC="${numbers}.h"`, source, "-o", output]);
  return readFileSync(output).toString("base64");
}

try {
  const [version] = execFileSync("clang", ["--version"], { encoding: "utf8" }).match(/version \d+/);
  const text = `// Written by scripts/build-wasm-runtime.mjs from src/compile/runtime/wasm.c with clang ${version}; do not edit.

/** Modules in base64, by the numbers that they compute in. */
export const wasmRuntime = {
  f32: "${compile("f32")}",
  int8: "${compile("int8")}",
} as const;
`;
  if (!process.argv.includes("--check")) writeFileSync(to, text);
  else if (readFileSync(to, "utf8") !== text) {
    process.stderr.write("build-wasm-runtime: runtime.ts is older than its sources; run this script\n");
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true });
}
