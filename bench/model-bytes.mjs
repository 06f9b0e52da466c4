// Bytes of compiled networks, of trained runs: see bench/README.md.
import { parseArgs } from "node:util";
import { compile, encodeModel, quantize } from "../dist/compile/index.js";
import { openDataset } from "../dist/data/index.js";
import { openNetwork } from "../dist/east/index.js";
import { nnzOf, prunable } from "../dist/sparse/index.js";
import { resolveCheckpoint } from "../dist/train/index.js";

const USAGE = `Usage: npm run bench:bytes -- [options] <run|checkpoint>…

  --data NAME          training images to calibrate int8 with, such as cifar10 or a folder (default: cifar10)
  --calibration COUNT  how many (default 32)
  --json               one JSON object a run instead of a table`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string", default: "cifar10" },
    calibration: { type: "string", default: "32" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (options.help || positionals.length === 0) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(options.help ? 0 : 1);
}

/** @param {string} run @param {Uint8Array[]} images */
async function bytesOf(run, images) {
  const { content } = await resolveCheckpoint(run);
  const { model, images: format, config, fit } = openNetwork(content);
  const trained = nnzOf(prunable(model.parameters()));
  const { graph, report } = compile(model, format, format.classes);
  fit.optimizer.dispose();
  model.dispose();
  const folded = report[report.length - 1];
  const int8 = quantize(graph, images);
  return {
    network: config.model,
    sparsity: config.sparsity,
    weights: 4 * trained,
    folded: folded.weightBytes,
    f32: encodeModel(graph).length,
    f16: encodeModel(graph, { values: "f16" }).length,
    int8: encodeModel(int8).length,
  };
}

const data = await openDataset(options.data);
const count = Math.min(Number(options.calibration), data.train.count);
const size = data.shape.reduce((product, extent) => product * extent, 1);
const pixels = new Uint8Array(count * size);
await data.train.read(
  Int32Array.from({ length: count }, (_, i) => Math.floor((i * data.train.count) / count)),
  pixels,
);
await data.close();
const images = Array.from({ length: count }, (_, i) => pixels.subarray(i * size, (i + 1) * size));

if (!options.json)
  process.stdout.write(
    "| network | sparsity | weights alone | folded | f32 | f16 | int8 |\n|---|---|---|---|---|---|---|\n",
  );
for (const run of positionals) {
  const row = await bytesOf(run, images);
  const kB = [row.weights, row.folded, row.f32, row.f16, row.int8].map((bytes) => `${(bytes / 1000).toFixed(1)} kB`);
  process.stdout.write(
    options.json ? `${JSON.stringify(row)}\n` : `| ${row.network} | ${row.sparsity} % | ${kB.join(" | ")} |\n`,
  );
}
