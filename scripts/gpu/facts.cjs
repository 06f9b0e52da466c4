"use strict";
const { cpus, totalmem } = require("node:os");
const { runCommand } = require("./command.cjs");
const { sourceHash } = require("../source-hash.cjs");

/** The first GPU as nvidia-smi sees it, or why there is none. */
async function findGpu() {
  const query = "name,compute_cap,driver_version,memory.total,clocks.max.sm,clocks.max.memory";
  const { status, stdout, output } = await runCommand(
    "nvidia-smi",
    ["-i", "0", `--query-gpu=${query}`, "--format=csv,noheader"],
    { seconds: 30 },
  );
  const [name, capability, driver, memory, sm, memoryClock] = stdout.trim().split("\n")[0].split(", ");
  if (status !== 0 || !/^\d+\.\d+$/.test(capability ?? ""))
    return { reason: output.includes("ENOENT") ? "no nvidia-smi" : output.trim().split("\n")[0] };
  return { name, capability, driver, memory, clocks: `SM up to ${sm}, memory up to ${memoryClock}` };
}

/** What stands in the report beside the numbers. */
async function collectFacts(root, gpu) {
  const first = async (command, args, pattern = /.+/) => {
    const { status, output } = await runCommand(command, args, { seconds: 60, cwd: root });
    return (status === 0 && pattern.exec(output)?.[0].trim()) || "none found";
  };
  const torch =
    "import torch; print('torch', torch.__version__, 'CUDA', torch.version.cuda, 'cuDNN', torch.backends.cudnn.version(), " +
    "torch.cuda.get_device_name() if torch.cuda.is_available() else 'without a GPU')";
  const [commit, nvcc, sanitizer, python] = await Promise.all([
    first("git", ["describe", "--always", "--dirty", "--abbrev=12"]),
    first("nvcc", ["--version"], /release .*/),
    first("compute-sanitizer", ["--version"], /.*\d+\.\d+.*/),
    first("python3", ["-c", torch], /^torch .*/m),
  ]);
  return {
    date: new Date().toISOString(),
    commit,
    sources: sourceHash(root, ["native", "src", "CMakeLists.txt"]).slice(0, 12),
    card: gpu.name ?? "none",
    ...(gpu.name && {
      "compute capability": gpu.capability,
      driver: gpu.driver,
      memory: gpu.memory,
      clocks: gpu.clocks,
    }),
    nvcc,
    "compute-sanitizer": sanitizer,
    PyTorch: python,
    processor: `${cpus()[0]?.model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    node: process.version,
  };
}

module.exports = { findGpu, collectFacts };
