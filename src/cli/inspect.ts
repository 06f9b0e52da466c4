import { statSync } from "node:fs";
import { totalmem } from "node:os";
import type { Command } from "commander";
import { native } from "../native.js";
import { memory, resolveDevice, threads } from "../tensor/index.js";
import { type CheckpointContent, resolveCheckpoint } from "../train/index.js";
import { version } from "../version.js";
import { warn } from "./failure.js";
import { bytes, count, facts, table } from "./format.js";
import { inspectModel, modelBytes } from "./inspect-model.js";

interface Flags {
  readonly json?: boolean;
}

export function addInspect(program: Command): void {
  program
    .command("inspect")
    .description("say what this machine offers, or what a checkpoint or a model file holds")
    .argument("[run|checkpoint|model]", "run folder, checkpoint file or model file")
    .option("--json", "write one JSON object to stdout and nothing else")
    .addHelpText(
      "after",
      "\nExamples:\n  easting inspect\n  easting inspect runs/first\n  easting inspect first.easting\n  easting inspect --json",
    )
    .action(async (target: string | undefined, { json }: Flags) => {
      const file = target ? await modelBytes(target) : null;
      if (target && file) inspectModel(target, file, json);
      else if (target) await checkpoint(target, json);
      else machine(json);
    });
}

function machine(json = false): void {
  const { isa, cudaBuilt, cudaReason, cudaDevices } = native.devices();
  const { device, reason } = resolveDevice();
  const libraries = (cudaReason === "" && native.libraries?.()) || [];
  const found = {
    easting: version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    instructionSet: isa,
    threads: threads(),
    devices: ["cpu", ...cudaDevices.map((_, i) => `cuda:${i}`)],
    device: { name: device, reason },
    cuda: { built: cudaBuilt, ...cudaUse(), driver: cudaReason || null, devices: cudaDevices, libraries },
    memory: { ...memory(), total: totalmem() },
  };
  if (json) {
    process.stdout.write(`${JSON.stringify(found)}\n`);
    return;
  }
  const { cuda } = found;
  process.stdout.write(
    facts([
      ["easting", `${version}, Node ${found.node}, ${found.platform}`],
      ["CPU", `${isa} kernels, ${found.threads} threads`],
      [
        "CUDA",
        `${cuda.built ? "built in" : "not built in"}, ${cuda.available ? "available" : `not used: ${cuda.reason}`}`,
      ],
      ...cudaDevices.map((name, i) => [`cuda:${i}`, name] as const),
      ...libraries.map(({ name, version, file, reason }) => [name, reason || `${version} (${file})`] as const),
      ["device", reason],
      ["memory", `${bytes(found.memory.total)} in this machine`],
    ]),
  );
}

/** Whether networks can train on CUDA, and if not, why not. */
function cudaUse(): { available: boolean; reason: string | null } {
  try {
    resolveDevice("cuda");
    return { available: true, reason: null };
  } catch (error) {
    return {
      available: false,
      reason: (error as Error).message
        .replace(/^device: .*?got none: /, "")
        .replace(/^CUDA: /, "")
        .replace(/; use device .*$/, ""),
    };
  }
}

async function checkpoint(target: string, json = false): Promise<void> {
  const { path, content, warnings } = await resolveCheckpoint(target);
  for (const { message } of warnings) warn(message);
  const { size } = statSync(path);
  const sections = [...content.sections].map(([name, data]) => ({
    name,
    type: data.constructor.name.replace("Array", "").toLowerCase(),
    count: data.length,
    bytes: data.byteLength,
  }));
  if (json) {
    process.stdout.write(`${JSON.stringify({ checkpoint: path, bytes: size, ...content.header, sections })}\n`);
    return;
  }
  process.stdout.write(`${facts([["checkpoint", path], ["size", bytes(size)], ...headerFacts(content)])}\n`);
  const kinds = groupByKind(sections);
  const rows = [...kinds].map(([kind, held]) => [
    kind,
    count(held.length),
    count(held.reduce((sum, section) => sum + section.count, 0)),
    bytes(held.reduce((sum, section) => sum + section.bytes, 0)),
  ]);
  process.stdout.write(table(["holds", "tensors", "numbers", "bytes"], rows, [0]));
}

interface Header {
  readonly config?: Record<string, unknown>;
  readonly images?: { readonly shape: readonly number[]; readonly classes: readonly string[] };
  readonly progress?: { readonly step: number; readonly bestValidation: number | null };
}

function headerFacts({ header }: CheckpointContent): [string, string][] {
  const { config = {}, images, progress } = header as unknown as Header;
  const entries: [string, string][] = [];
  if (progress) entries.push(["step", count(progress.step)]);
  if (images) entries.push(["images", `${images.shape.join(" × ")}, ${images.classes.length} classes`]);
  return [...entries, ...Object.entries(config).map(([key, value]): [string, string] => [key, String(value)])];
}

function groupByKind<S extends { readonly name: string }>(sections: readonly S[]): Map<string, S[]> {
  const kinds = new Map<string, S[]>();
  for (const section of sections) {
    const [kind] = section.name.split("/");
    kinds.set(kind, [...(kinds.get(kind) ?? []), section]);
  }
  return kinds;
}
