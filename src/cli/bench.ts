import type { Command } from "commander";
import { type Cost, costOf, type Graph, openModel } from "../compile/index.js";
import { load, type Network } from "../inference/index.js";
import { threads } from "../tensor/index.js";
import { readWhole } from "../train/index.js";
import { usageError, warn } from "./failure.js";
import { bytes, count, facts, millions } from "./format.js";
import { onnxRuntimeMilliseconds } from "./onnx-runtime.js";
import { wholeNumber } from "./settings.js";

interface Flags {
  readonly threads?: number;
  readonly batch: number;
  readonly milliseconds: number;
  readonly onnxruntime?: boolean;
  readonly json?: boolean;
}

/** One size of batch: median and fastest call of `run`, from bytes to classes. */
interface Timing {
  readonly batch: number;
  readonly medianMs: number;
  readonly fastestMs: number;
  readonly imagesPerSecond: number;
}

export function addBench(program: Command): void {
  program
    .command("bench")
    .description("measure how fast a compiled network classifies on this machine")
    .argument("<model>", "model file, as easting compile writes it")
    .option("--threads <count>", "threads of the kernels (default: all cores)", wholeNumber("--threads", 1))
    .option("--batch <count>", "images at once for the throughput", wholeNumber("--batch", 1), 64)
    .option("--milliseconds <count>", "how long to measure each", wholeNumber("--milliseconds", 1), 1000)
    .option("--onnxruntime", "ONNX Runtime beside it, on the same channels with dense weights (needs python3 with it)")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting bench model.easting
  easting bench model.easting --threads 1 --onnxruntime`,
    )
    .action(run);
}

async function run(path: string, flags: Flags): Promise<void> {
  if (flags.threads) threads(flags.threads);
  using network = await load(path);
  const file = await readWhole(path);
  const { graph } = openModel(file, path);
  if (flags.onnxruntime && "zeros" in graph)
    throw usageError("--onnxruntime: expected a network with weights in f32 or f16, got int8");
  const timings: Timing[] = [];
  for (const batch of new Set([1, 2, flags.batch])) timings.push(await measure(network, batch, flags.milliseconds));
  const cost = costOf(graph);
  const onnxRuntime = flags.onnxruntime && !("zeros" in graph) ? beside(graph, flags) : null;
  if (flags.json) {
    const outcome = { type: "benchmark", model: path, bytes: file.length, threads: threads(), ...cost };
    process.stdout.write(`${JSON.stringify({ ...outcome, timings, onnxRuntime })}\n`);
  } else process.stdout.write(facts(lines(path, file.length, cost, timings, onnxRuntime)));
}

async function measure(network: Network, batch: number, milliseconds: number): Promise<Timing> {
  const size = network.image.shape.reduce((product, extent) => product * extent, batch);
  const images = Uint8Array.from({ length: size }, (_, i) => (i * 7919) % 256);
  for (let i = 0; i < 3; i++) await network.run(images);
  const times: number[] = [];
  const begin = performance.now();
  while (times.length < 3 || performance.now() - begin < milliseconds) {
    const start = performance.now();
    await network.run(images);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const medianMs = times[times.length >> 1];
  return { batch, medianMs, fastestMs: times[0], imagesPerSecond: (1000 * batch) / medianMs };
}

/** Median of batch 1; null, with a warning, where Python has no ONNX Runtime. */
function beside(graph: Graph, { milliseconds }: Flags): number | null {
  const found = onnxRuntimeMilliseconds(graph, threads(), milliseconds);
  if (typeof found === "number") return found;
  warn(`--onnxruntime: ${found}`);
  return null;
}

function lines(
  path: string,
  size: number,
  cost: Cost,
  timings: readonly Timing[],
  onnxRuntime: number | null,
): [string, string][] {
  const time = ({ batch, medianMs, fastestMs, imagesPerSecond }: Timing): [string, string] => [
    `batch ${batch}`,
    `${medianMs.toPrecision(3)} ms (fastest ${fastestMs.toPrecision(3)} ms), ${count(imagesPerSecond)} images/s`,
  ];
  const factor = ((onnxRuntime ?? 0) / timings[0].medianMs).toPrecision(3);
  return [
    ["model", `${path}, ${bytes(size)}`],
    [
      "network",
      `${count(cost.weights)} weights, ${count(cost.channels)} channels, ${millions(cost.macs)} MACs per image`,
    ],
    ["memory", `${bytes(cost.memoryBytes)} of planes`],
    ["threads", String(threads())],
    ...timings.map(time),
    ...(onnxRuntime
      ? [["ONNX Runtime", `batch 1 ${onnxRuntime.toPrecision(3)} ms, ${factor} × as long`] as [string, string]]
      : []),
  ];
}
