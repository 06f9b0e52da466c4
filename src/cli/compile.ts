import { type Command, Option } from "commander";
import { type Compiled, compile, planMemory, targets, type WeightType, weightTypes } from "../compile/index.js";
import { openNetwork } from "../east/index.js";
import { fileError, replaceFile, resolveCheckpoint } from "../train/index.js";
import { usageError, warn } from "./failure.js";
import { bytes, count, facts, millions, table } from "./format.js";

interface Flags {
  readonly target: string;
  readonly values: WeightType;
  readonly onnxSparse?: boolean;
  readonly output?: string;
  readonly json?: boolean;
}

export function addCompile(program: Command): void {
  program
    .command("compile")
    .description("turn a trained network into something small that only classifies")
    .argument("<run|checkpoint>", "run folder or checkpoint file")
    .addOption(
      new Option("--target <name>", targets.map(({ name, description }) => `${name}: ${description}`).join("; "))
        .choices(targets.map(({ name }) => name))
        .default("native"),
    )
    .addOption(
      new Option("--values <type>", "how weights are stored")
        .choices(weightTypes.map(({ name }) => name))
        .default("f32"),
    )
    .option("--onnx-sparse", "weights of an ONNX model as sparse tensors: small files, for runtimes that read them")
    .option("-o, --output <file>", "where to write (default: model with the target's ending)")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  easting compile runs/first -o first.easting
  easting compile runs/first/checkpoints/best.ckpt --values f16 -o first.easting
  easting compile runs/first --target onnx -o first.onnx`,
    )
    .action(run);
}

async function run(from: string, { target: name, values, onnxSparse, output, json = false }: Flags): Promise<void> {
  if (onnxSparse && name !== "onnx") throw usageError(`--onnx-sparse: expected --target onnx, got ${name}`);
  const { path, content, warnings } = await resolveCheckpoint(from);
  for (const { message } of warnings) warn(message);
  const { model, images, fit } = openNetwork(content);
  const compiled = compile(model, images, images.classes);
  fit.optimizer.dispose();
  model.dispose();
  const target = targets.find((each) => each.name === name) as (typeof targets)[number];
  const file = target.emit(compiled.graph, { values, onnxSparse });
  const to = output ?? `model${target.extension}`;
  await replaceFile(to, file).catch((error) => {
    throw fileError("EASTING_OUTPUT_WRITE", "write", to, error);
  });
  const { size, lowerBound } = planMemory(compiled.graph);
  const outcome = { checkpoint: path, target: name, values, file: to, bytes: file.length, memoryBytes: 4 * size };
  if (json) process.stdout.write(`${JSON.stringify({ type: "compiled", ...outcome, report: compiled.report })}\n`);
  else {
    process.stdout.write(`${passTable(compiled)}\n`);
    process.stdout.write(
      facts([
        ["checkpoint", path],
        ["written", `${to}, ${bytes(file.length)}`],
        ["memory", `${bytes(4 * size)} for planes in f32, at least ${bytes(4 * lowerBound)}`],
      ]),
    );
  }
}

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
