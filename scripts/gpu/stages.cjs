"use strict";
const { readFileSync } = require("node:fs");
const { availableParallelism } = require("node:os");
const { join } = require("node:path");
const judge = require("./judge.cjs");

/** Tests that compute; not those of compiled networks, the command line and the documentation. */
const suites = "cuda east native.test.ts nn ops optim pytorch sparse tensor train"
  .split(" ")
  .map((name) => `test/${name}`);
const fewSuites = ["test/cuda/graph.test.ts", "test/tensor/tensor.test.ts"];
const tools = ["memcheck", "racecheck", "initcheck", "synccheck"];
const peers = ["resnet34:99.95:rigl,resnet34:99.9:rigl", "resnet34:99.95:east", "resnet50:99.9:rigl"];

const [build, dist, correctness, firstBench] = [0, 1, 2, 3];
const node = process.execPath;

/**
 * What is done, in groups: the stages of a group side by side, groups one after the other, so that nothing else runs
 * beside a benchmark. `limit` and `least` are seconds.
 * @param {{ root: string, out: string, emulated: boolean, capability?: string }} options
 */
function stagesOf({ root, out, emulated, capability = "" }) {
  const env = emulated
    ? { EASTING_DEVICE: "cuda", EASTING_PREBUILD: join(root, "build", "cuda-emulation") }
    : { EASTING_DEVICE: "cuda" };
  const script = (path, ...args) => ({ command: node, args: [join(root, path), ...args], env });
  const testReport = join(out, "tests.json");
  const workers = Math.max(1, availableParallelism() - (emulated ? 0 : tools.length));
  const architecture = capability.replace(".", "");
  const kernelArguments = emulated ? ["--filter", "clip_factor", "--time", "20"] : ["--time", "10"];
  const program = "test/cuda/sanitized.mjs";
  return [
    {
      ...{ name: "build", group: build, limit: 240, least: 120, judge: judge.judgeBuild },
      ...script(
        "scripts/build-native.cjs",
        ...(emulated ? ["--cuda", "emulated"] : ["--cuda", "on", "--cuda-archs", architecture]),
      ),
    },
    {
      ...{ name: "build of dist", group: dist, limit: 60, least: 20, judge: judge.judgeBuild },
      ...script("scripts/build-dist.cjs", "--no-check"),
    },
    {
      ...{ name: "tests", group: correctness, limit: 200, least: 60 },
      ...script(
        "node_modules/vitest/vitest.mjs",
        ...["run", `--maxWorkers=${workers}`, `--outputFile.json=${testReport}`],
        ...(emulated ? fewSuites : suites),
      ),
      judge: (run) => judge.judgeTests(run, readJson(testReport)),
    },
    ...tools.map((tool) => ({
      ...{ name: tool, group: correctness, limit: 170, least: 60, judge: judge.judgeSanitizer },
      ...(emulated
        ? { skipped: "no GPU" }
        : {
            command: "compute-sanitizer",
            args: ["--tool", tool, "--target-processes", "all", "--error-exitcode", "99", node, join(root, program)],
            env,
          }),
    })),
    ...(emulated ? [{ ...plain("what the sanitizers watch"), ...script(program) }] : []),
    {
      ...{ name: "kernels", group: firstBench, limit: 130, least: 75, judge: judge.judgeKernels },
      ...script("bench/kernels.mjs", "--device", "cuda", "--json", ...kernelArguments),
    },
    ...peers.map((rows, i) => ({
      ...{ name: `steps ${rows.replaceAll(",", " ")}`, group: firstBench + 1 + i, limit: 110, least: 60 },
      ...(emulated
        ? { skipped: "no GPU" }
        : script("bench/peers/run.mjs", "--device", "cuda", "--json", "--rows", rows)),
      judge: judge.judgePeers,
    })),
  ];
}

/** A stage that passes by its exit code. @param {string} name */
function plain(name) {
  const passed = ({ status, stopped }) => (stopped ? "stopped" : status === 0 ? "passed" : "failed");
  return { name, group: correctness, limit: 170, least: 30, judge: (run) => ({ status: passed(run), facts: {} }) };
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

module.exports = { stagesOf };
