import { basename, extname } from "node:path";
import { type Command, Option } from "commander";
import { type Compiled, compile, planMemory, targets, type WeightType, weightTypes } from "../compile/index.js";
import { openNetwork } from "../east/index.js";
import { fileError, replaceFile, resolveCheckpoint } from "../train/index.js";
import { usageError, warn } from "./failure.js";
import { bytes, count, facts, millions, percent, table } from "./format.js";
import { type Int8Outcome, toInt8 } from "./int8.js";
import { writeSafetensors } from "./safetensors.js";
import { wholeNumber } from "./settings.js";

interface Flags {
  readonly target: string;
  readonly values: WeightType;
  readonly onnxSparse?: boolean;
  readonly int8?: boolean;
  readonly calibration: number;
  readonly data?: string;
  readonly imageSize?: number;
  readonly output?: string;
  readonly json?: boolean;
}

/** Targets of the compiler, and what is written without compiling. */
const known = [...targets, { name: "safetensors", description: "weights and masks as trained, for PyTorch" }];

export function addCompile(program: Command): void {
  program
    .command("compile")
    .description("turn a trained network into something small that only classifies")
    .argument("<run|checkpoint>", "run folder or checkpoint file")
    .addOption(
      new Option("--target <name>", known.map(({ name, description }) => `${name}: ${description}`).join("; "))
        .choices(known.map(({ name }) => name))
        .default("native"),
    )
    .addOption(
      new Option("--values <type>", "how weights are stored")
        .choices(weightTypes.map(({ name }) => name))
        .default("f32"),
    )
    .option("--onnx-sparse", "weights of an ONNX model as sparse tensors: small files, for runtimes that read them")
    .option("--int8", "in integers only, calibrated with training images; prints the accuracy before and after")
    .option("--calibration <count>", "training images to calibrate with", wholeNumber("--calibration", 1), 128)
    .option("--data <name>", "data to calibrate with (default: what the run was trained on)")
    .option("--image-size <pixels>", "side that images of a folder are scaled to", wholeNumber("--image-size", 1))
    .option("-o, --output <file>", "where to write (default: model with the target's ending)")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting compile runs/first -o first.easting
  easting compile runs/first/checkpoints/best.ckpt --values f16 -o first.easting
  easting compile runs/first --int8 -o first.easting
  easting compile runs/first --target onnx -o first.onnx
  easting compile runs/first --target safetensors -o first.safetensors
  easting compile runs/first --target c --int8 -o first.h
  easting compile runs/first --target wasm -o first.wasm`,
    )
    .action(run);
}

async function run(from: string, flags: Flags): Promise<void> {
  const { target: name, values, onnxSparse, output, json = false } = flags;
  if (onnxSparse && name !== "onnx") throw usageError(`--onnx-sparse: expected --target onnx, got ${name}`);
  if (name === "safetensors") {
    if (flags.int8 || values !== "f32") throw usageError("--target safetensors: expected weights in f32, got others");
    return writeSafetensors(from, output ?? "model.safetensors", json);
  }
  const target = targets.find((each) => each.name === name) as (typeof targets)[number];
  if (flags.int8 && !target.int8) {
    const able = targets.flatMap(({ name, int8 }) => (int8 ? [name] : [])).join(" or ");
    throw usageError(`--int8: expected --target ${able}, got ${name}`);
  }
  const { path, content, warnings } = await resolveCheckpoint(from);
  for (const { message } of warnings) warn(message);
  const { model, images, fit } = openNetwork(content);
  const compiled = compile(model, images, images.classes);
  fit.optimizer.dispose();
  model.dispose();
  const int8 = flags.int8 ? await toInt8(from, compiled.graph, images, { ...flags, quiet: json }) : null;
  const to = output ?? `model${target.extension}`;
  const called = identifier(basename(to, extname(to)));
  const options = { values, onnxSparse, name: called, ...(int8 && { int8: int8.graph }) };
  const file = target.emit(compiled.graph, options);
  await replaceFile(to, file).catch((error) => {
    throw fileError("EASTING_OUTPUT_WRITE", "write", to, error);
  });
  const { size, lowerBound } = planMemory(compiled.graph);
  const pixel = int8 ? 1 : 4;
  const outcome = {
    ...{ type: "compiled", checkpoint: path, target: name, values: int8 ? "int8" : values, file: to },
    ...{ bytes: file.length, memoryBytes: pixel * size, report: compiled.report },
    ...(int8 && { int8: { ...int8, graph: undefined } }),
  };
  if (json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  else {
    process.stdout.write(`${passTable(compiled)}\n`);
    process.stdout.write(
      facts([
        ["checkpoint", path],
        ["written", `${to}, ${bytes(file.length)}`],
        ...(target.facts?.(compiled.graph, options) ?? [
          [
            "memory",
            `${bytes(pixel * size)} for planes in ${int8 ? "bytes" : "f32"}, at least ${bytes(pixel * lowerBound)}`,
          ],
        ]),
        ...(int8 ? [["accuracy", accuracyOf(int8)] as const] : []),
      ]),
    );
  }
}

const accuracyOf = ({ f32, int8, images, calibration }: Int8Outcome) =>
  `${percent(f32)} in f32, ${percent(int8)} in int8, of ${images} test images; calibrated with ${calibration}`;

/** A file's name as a name in C. */
const identifier = (name: string) => name.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(?=\d|$)/, "_");

/** What was there at first, and what was left by each pass. */
function passTable({ report }: Compiled): string {
  const heading = ["after", "weights", "channels", "MACs", "bytes of weights", "bytes of RAM"];
  const rows = report.map(({ pass, weights, channels, macs, weightBytes, memoryBytes }) => [
    pass,
    count(weights),
    count(channels),
    millions(macs),
    bytes(weightBytes),
    bytes(memoryBytes),
  ]);
  return table(heading, rows, [0]);
}
