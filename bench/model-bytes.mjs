// Bytes of compiled networks, of trained runs and of masks that are drawn: see bench/README.md.
import { statSync } from "node:fs";
import { parseArgs } from "node:util";
import { compile, encodeModel, quantize } from "../dist/compile/index.js";
import { inBits } from "../dist/compile/program/bits.js";
import { int8Program } from "../dist/compile/program/int8.js";
import { int8Numbers } from "../dist/compile/targets/c/numbers.js";
import { flashBytes, ramBytes } from "../dist/compile/targets/c/sizes.js";
import { wasm } from "../dist/compile/targets/wasm/index.js";
import { openDataset } from "../dist/data/index.js";
import { openNetwork } from "../dist/east/index.js";
import { nnzOf, prunable } from "../dist/sparse/index.js";
import { resolveCheckpoint } from "../dist/train/index.js";
import { drawnNetwork } from "./inference/networks.mjs";

const USAGE = `Usage: npm run bench:bytes -- [options] <run|checkpoint|network:sparsity>…

  resnet50:99.95 stands for EAST's ResNet-50 for CIFAR with a mask drawn so that every weight is on a path from image to
  logit, and random weights; all others are trained.

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

/** @param {string} run */
async function compiled(run) {
  const [, name, sparsity] = /^(resnet\d+):([\d.]+)$/.exec(run) ?? [];
  if (name) return { ...(await drawnNetwork(name, Number(sparsity))), sparsity: Number(sparsity), masks: "drawn" };
  const { content } = await resolveCheckpoint(run);
  const { model, images: format, config, fit } = openNetwork(content);
  const trained = nnzOf(prunable(model.parameters()));
  const { graph, report } = compile(model, format, format.classes);
  fit.optimizer.dispose();
  model.dispose();
  return { network: config.model, sparsity: config.sparsity, masks: "trained", trained, graph, report };
}

const loader = statSync(new URL("../dist/compile/targets/wasm/loader.js", import.meta.url)).size;

/** @param {string} run @param {Uint8Array[]} images */
async function bytesOf(run, images) {
  const { network, sparsity, masks, trained, graph, report } = await compiled(run);
  const int8 = quantize(graph, images);
  const { image, classes } = graph;
  const c = { name: "model", image, classes, program: inBits(int8Program(int8)), numbers: int8Numbers(int8) };
  return {
    network,
    sparsity,
    masks,
    weights: 4 * trained,
    folded: report[report.length - 1].weightBytes,
    f32: encodeModel(graph).length,
    f16: encodeModel(graph, { values: "f16" }).length,
    int8: encodeModel(int8).length,
    cFlash: flashBytes(c),
    cRam: ramBytes(c),
    wasm: wasm.emit(graph, { values: "f32", int8 }).length + loader,
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
    "| network | sparsity | masks | weights alone | folded | f32 | f16 | int8 | C tables | C RAM | WASM and loader |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
  );
for (const run of positionals) {
  const row = await bytesOf(run, images);
  const { weights, folded, f32, f16, int8, cFlash, cRam, wasm } = row;
  const kB = [weights, folded, f32, f16, int8, cFlash, cRam, wasm].map((bytes) => `${(bytes / 1000).toFixed(1)} kB`);
  process.stdout.write(
    options.json
      ? `${JSON.stringify(row)}\n`
      : `| ${row.network} | ${row.sparsity} % | ${row.masks} | ${kB.join(" | ")} |\n`,
  );
}
