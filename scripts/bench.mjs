#!/usr/bin/env node
// Runs the benchmarks in bench/: all of them, or those named (`npm run bench -- kernels step`).
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "bench");
const known = readdirSync(folder)
  .filter((file) => file.endsWith(".bench.ts"))
  .map((file) => file.slice(0, -".bench.ts".length));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
for (const name of wanted.length > 0 ? wanted : known) {
  if (!known.includes(name)) {
    process.stderr.write(`bench: expected one of ${known.join(", ")}, got ${name}\n`);
    process.exit(1);
  }
  await runnerImport(join(folder, `${name}.bench.ts`), { logLevel: "error" });
}
