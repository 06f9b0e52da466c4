import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { absoluteSource, type DataSource } from "../data/index.js";
import { resolveConfig, type TrainConfig, type TrainConfigInput, train } from "../east/index.js";
import { EastingError } from "../errors.js";
import { diagnostics } from "../sparse/index.js";
import { type DeviceRequest, threads, useDevice } from "../tensor/index.js";
import { type EndEvent, readEvents, type TrainEvent } from "../train/index.js";
import { version } from "../version.js";
import { INTERRUPTED, usageError, warn } from "./failure.js";
import { count, duration, percent } from "./format.js";
import { watchInterrupt } from "./interrupt.js";
import { TrainProgress } from "./progress.js";
import { addSettings, deviceOption, givenSettings, settingsFile, someOf, wholeNumber } from "./settings.js";
import { describeData, openSource, readReceipt } from "./source.js";

type DiagnosticName = keyof typeof diagnostics;

interface Flags {
  readonly data?: string;
  readonly validation?: "split" | "none";
  readonly imageSize?: number;
  readonly flip: boolean;
  readonly config?: string;
  readonly out?: string;
  readonly resume?: boolean | string;
  readonly keep?: number;
  readonly saveEvery?: number;
  readonly stopAfter?: number;
  readonly threads?: number;
  readonly device?: DeviceRequest;
  readonly diagnostics?: true | readonly DiagnosticName[];
  readonly diagnosticsEvery?: number;
  readonly json?: boolean;
}

/** What one call of the command is to do. */
interface Plan {
  readonly config: TrainConfig;
  readonly source: DataSource;
  readonly out: string;
  readonly resume: boolean;
}

export function addTrain(program: Command): void {
  const command = program.command("train").description("train a network; with a run folder that can be resumed");
  addSettings(command);
  const data = (flags: string, text: string) => new Option(flags, text).helpGroup("Data:");
  const run = (flags: string, text: string) => new Option(flags, text).helpGroup("Run:");
  command
    .addOption(data("--data <name>", "digits, synthetic, cifar10, cifar100 or a folder (default: digits)"))
    .addOption(
      data(
        "--validation <how>",
        "split: hold out a tenth of the training images (default); none: train on all",
      ).choices(["split", "none"]),
    )
    .addOption(
      data("--image-size <pixels>", "side of the squares that images of a folder are scaled to").argParser(
        wholeNumber("--image-size", 1),
      ),
    )
    .addOption(data("--no-flip", "do not mirror the images of a folder: digits, text"))
    .addOption(run("--out <folder>", "run folder (default: runs/<model>-<method>-<sparsity>-s<seed>-<time>)"))
    .addOption(run("--resume [folder]", "go on from the newest checkpoint of a run, by the settings in its receipt"))
    .addOption(run("--config <file>", "settings as JSON, named as the flags but in camelCase; flags win"))
    .addOption(
      run("--keep <count>", "checkpoints kept besides the best (default: 3)").argParser(wholeNumber("--keep", 1)),
    )
    .addOption(
      run("--save-every <steps>", "checkpoints besides those at epoch ends").argParser(wholeNumber("--save-every", 1)),
    )
    .addOption(
      run("--stop-after <steps>", "stop after this step, as if interrupted").argParser(wholeNumber("--stop-after", 1)),
    )
    .addOption(
      run("--threads <count>", "threads of the kernels; results do not depend on it (default: all cores)").argParser(
        wholeNumber("--threads", 1),
      ),
    )
    .addOption(
      run(
        "--diagnostics [names]",
        `look at ${names.join(", ")} while training, which changes nothing in it; all of them, or some with commas between`,
      ).argParser(someOf("--diagnostics", names)),
    )
    .addOption(
      run("--diagnostics-every <steps>", "steps between looks, at least; at epoch ends (default: 1000)").argParser(
        wholeNumber("--diagnostics-every", 1),
      ),
    )
    .addOption(deviceOption().helpGroup("Run:"))
    .addOption(run("--json", "write the run's events to stdout, one JSON object a line, and nothing else"))
    .addHelpText(
      "after",
      `
Examples:
  easting train --model resnet20 --epochs 30
  easting train --data cifar10 --model resnet34 --method east --sparsity 99.9 --out runs/east
  easting train --data path/to/images --model resnet18-imagenet --image-size 224
  easting train --method rigl --sparsity 98 --cycles 2 --json > events.jsonl
  easting train --resume --out runs/east

A folder holds CIFAR's binary files, train/<class>/* and test/<class>/*, or <class>/*.
Ctrl-C saves a checkpoint and ends with exit code 75; a second one stops at once.`,
    )
    .action(async (flags: Flags) => {
      process.exitCode = await runTrain(await plan(command, flags), flags);
    });
}

const names = Object.keys(diagnostics) as DiagnosticName[];

async function plan(command: Command, flags: Flags): Promise<Plan> {
  const given = givenSettings(command);
  const file = flags.config ? settingsFile(flags.config, ["data", "validation", "imageSize", "flip", "out"]) : null;
  const rest = (file?.rest ?? {}) as Partial<Pick<Flags, "data" | "validation" | "imageSize" | "flip" | "out">>;
  const flip = command.getOptionValueSource("flip") === "cli" ? flags.flip : rest.flip;
  const asked = {
    from: flags.data ?? rest.data,
    validation: flags.validation ?? rest.validation,
    imageSize: flags.imageSize ?? rest.imageSize,
    flip,
  };
  const resume = flags.resume ?? false;
  const out = flags.out ?? (typeof resume === "string" ? resume : rest.out);
  if (resume) {
    if (!out) throw usageError("--resume: expected the run folder to go on with, got none", "add --out <folder>");
    return resumed(out, { ...file?.config, ...given }, asked);
  }
  const config = resolveConfig({ ...file?.config, ...given });
  const { from = "digits", validation = "split", imageSize } = asked;
  const source = {
    from: absoluteSource(from),
    validation,
    ...(imageSize && { imageSize }),
    ...(flip === false && { flip }),
  };
  return { config, source, out: out ?? runName(config, new Date()), resume: false };
}

/** A run goes on by its receipt; whatever is given again must be the same, but data may have moved. */
async function resumed(
  out: string,
  given: TrainConfigInput,
  asked: { readonly [K in keyof DataSource]?: DataSource[K] },
): Promise<Plan> {
  const receipt = await readReceipt(out);
  if (!receipt)
    throw new EastingError("EASTING_RUN_NOT_FOUND", `${out}: expected a run to resume, got no receipt.json`);
  const before = receipt.data.source;
  const from = asked.from ? absoluteSource(asked.from) : before?.from;
  if (!from) throw usageError(`${out}: expected a receipt that names its data, got one that does not`, "add --data");
  const source = { validation: "split", ...before, ...defined(asked), from } as DataSource;
  return { config: resolveConfig({ ...(receipt.config as TrainConfigInput), ...given }), source, out, resume: true };
}

const defined = (values: object) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

/** runs/resnet34-east-99.9-s1-20260131-235959, in local time. */
export function runName({ model, method, sparsity, seed }: TrainConfig, now: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
  const name = [model, method, method === "dense" ? 0 : sparsity, `s${seed}`, day, time].join("-");
  return join("runs", name);
}

async function runTrain({ config, source, out, resume }: Plan, flags: Flags): Promise<number> {
  const { json = false, keep, saveEvery, stopAfter, diagnosticsEvery: every } = flags;
  const looked = flags.diagnostics === true ? names : (flags.diagnostics ?? (every ? names : []));
  if (flags.threads) threads(flags.threads);
  const { reason } = useDevice(flags.device);
  const finished = resume ? await finishedRun(out) : null;
  if (finished) {
    if (json) process.stdout.write(`${JSON.stringify(finished)}\n`);
    else process.stdout.write(`${out} has ended already.\n${result(finished)}`);
    return 0;
  }
  const progress = new TrainProgress(config.batch);
  const tell = json ? () => {} : (text: string) => progress.line(text);
  using interrupt = watchInterrupt(() =>
    progress.aside(() => process.stderr.write("stopping after this step; press Ctrl-C again to stop at once\n")),
  );
  const { signal } = interrupt;
  let saved: string | null = null;
  try {
    tell(`easting ${version}  ${describeConfig(config)}`);
    const data = await openSource(source, { quiet: json, signal });
    try {
      tell(`data     ${describeData(data)}`);
      tell(`device   ${reason}`);
      tell(`run      ${out}${resume ? " (resumed)" : ""}`);
      const events = train(config, data, {
        ...{ out, resume, keep, saveEvery, stopAfter, signal, device: flags.device, dataSource: source },
        callbacks: looked.map((name) => diagnostics[name](every ? { every } : {})),
      });
      for await (const event of events) {
        if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
        else progress.show(event);
        if (event.type === "warning") progress.aside(() => warn(event.message));
        if (event.type === "checkpoint") saved = event.path;
        if (event.type === "end") {
          progress.stop();
          tell(`\n${result(event)}run            ${out}   (easting evaluate ${out})`);
        }
        if (event.type === "interrupted") {
          progress.stop();
          const where = saved ? `; saved in ${saved}` : "";
          process.stderr.write(
            `stopped after step ${event.step}${where}\ngo on with: easting train --resume --out ${out}\n`,
          );
          return INTERRUPTED;
        }
      }
      return 0;
    } finally {
      await data.close();
    }
  } catch (error) {
    if (!(signal.aborted && (error as Error)?.name === "AbortError")) throw error;
    process.stderr.write("stopped before training began\n");
    return 130;
  } finally {
    progress.stop();
  }
}

function describeConfig({ model, method, sparsity, epochs, batch, seed }: TrainConfig): string {
  const by = method === "dense" ? "dense" : `${method}, ${sparsity} % sparsity`;
  return `${model}, ${by}, ${epochs} epoch${epochs === 1 ? "" : "s"}, batch ${batch}, seed ${seed}`;
}

function result(event: EndEvent): string {
  const { testAccuracy, bestAccuracy, seconds, imagesPerSecond } = event;
  const { density, nnz } = event as EndEvent & { density?: number; nnz?: number };
  const best = bestAccuracy === null ? "" : `   (${percent(bestAccuracy)} where validation was best)`;
  const lines = [`test accuracy  ${percent(testAccuracy)}${best}`];
  if (density !== undefined && nnz !== undefined)
    lines.push(`weights        ${count(nnz)}, density ${percent(density)}`);
  lines.push(`time           ${duration(seconds)}, ${count(imagesPerSecond)} images/s`);
  return `${lines.join("\n")}\n`;
}

/** The last event of a run that has ended; null if there is more to do. */
async function finishedRun(out: string): Promise<EndEvent | null> {
  if (!existsSync(join(out, "result.json"))) return null;
  const last = (await readEvents(out)).at(-1) as TrainEvent | undefined;
  if (last?.type !== "end") return null;
  return JSON.parse(readFileSync(join(out, "result.json"), "utf8")) as EndEvent;
}
