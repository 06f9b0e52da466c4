import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { z } from "zod";
import { complaint, configSchema, methodNames, type TrainConfigInput } from "../east/config.js";
import { expected, nearest } from "../errors.js";
import { modelNames } from "../models/index.js";
import { deviceRequest } from "../tensor/index.js";
import { usageError } from "./failure.js";

type Key = keyof typeof configSchema.shape;
type Values = Record<string, unknown>;

interface Described {
  readonly type: "string" | "number" | "integer" | "boolean";
  readonly description: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
}

const described = z.toJSONSchema(configSchema, { io: "input" }).properties as unknown as Record<Key, Described>;
const names: Partial<Record<Key, readonly string[]>> = { model: modelNames, method: methodNames };

const groups: readonly (readonly [string, readonly Key[]])[] = [
  ["Training:", ["model", "method", "sparsity", "epochs", "batch", "seed", "classifierBias", "storage", "conv"]],
  [
    "Optimizer:",
    [
      "optimizer",
      "learningRate",
      "schedule",
      "momentum",
      "nesterov",
      "weightDecay",
      "labelSmoothing",
      "clip",
      "clipNorm",
    ],
  ],
  ["Topology:", ["distribution", "ensureLive", "updateEvery", "dropFraction", "updateUntil", "growth"]],
];
const groupOf = (key: Key) => groups.find(([, keys]) => keys.includes(key))?.[0] ?? "EAST:";

export const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const settingKeys = Object.keys(configSchema.shape) as Key[];

/** Adds a flag for every setting of a training run, or for those in `keys`, as its schema describes it. */
export function addSettings(command: Command, keys: readonly Key[] = settingKeys): void {
  for (const key of keys) for (const option of flagsOf(key)) command.addOption(option.helpGroup(groupOf(key)));
}

function flagsOf(key: Key): Option[] {
  const { type, description, default: preset } = described[key];
  const flag = `--${kebab(key)}`;
  if (type === "boolean") {
    const off = new Option(flag.replace("--", "--no-"), `without ${description.split(";")[0]}`);
    const on = new Option(flag, description);
    return preset === true ? [off] : preset === false ? [on] : [on, off];
  }
  const choices = described[key].enum ?? names[key];
  const value = choices ? "name" : type === "integer" ? "count" : "number";
  const listed = choices && !choices.every((name) => description.includes(name));
  const option = new Option(`${flag} <${value}>`, listed ? `${description}: ${choices.join(", ")}` : description);
  if (type !== "string") option.argParser((text) => (text.trim() === "" ? text : toNumber(text)));
  return [preset === undefined ? option : option.default(preset)];
}

/** What is no number stays text, for the complaint about it. */
const toNumber = (text: string): number | string => (Number.isNaN(Number(text)) ? text : Number(text));

/** Numbers of other options: whole, from `least` on. */
export const wholeNumber = (flag: string, least: number) => (text: string) => {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least) return value;
  throw expected(flag, `a whole number of at least ${least}`, text, undefined, "EASTING_USAGE");
};

export const deviceOption = () =>
  new Option("--device <name>", "where to compute: cpu, cuda, cuda:<index> or auto, a GPU if there is one").argParser(
    (name) => deviceRequest(name, "--device", "EASTING_USAGE"),
  );

/** Names with commas between, of those in `known`. */
export const someOf =
  <N extends string>(flag: string, known: readonly N[]) =>
  (text: string): readonly N[] =>
    text.split(",").map((word) => {
      const name = word.trim() as N;
      if (known.includes(name)) return name;
      const near = nearest(name, known);
      throw usageError(`${flag}: expected some of ${known.join(", ")}, got "${name}"`, near && `did you mean ${near}?`);
    });

/** The settings given on the command line, checked. */
export function givenSettings(command: Command): TrainConfigInput {
  const values = command.opts<Values>();
  const given = settingKeys.filter((key) => command.getOptionValueSource(key) === "cli");
  return checked(Object.fromEntries(given.map((key) => [key, values[key]])), (key) => `--${kebab(key)}`);
}

/** A JSON file of settings, checked; keys in `others` are passed through as they are. */
export function settingsFile(path: string, others: readonly string[] = []): { config: TrainConfigInput; rest: Values } {
  const values = readJsonObject(path);
  const known = [...settingKeys, ...others];
  for (const key of Object.keys(values)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    throw usageError(`${path}: expected known settings, got "${key}"`, near && `did you mean "${near}"?`);
  }
  const [rest, config] = [others, settingKeys].map((keys: readonly string[]) =>
    Object.fromEntries(Object.entries(values).filter(([key]) => keys.includes(key))),
  );
  return { config: checked(config, (key) => `${path}: ${key}`), rest };
}

function readJsonObject(path: string): Values {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw usageError(`--config: expected a readable JSON file, got ${path} (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    const values = JSON.parse(text);
    if (typeof values === "object" && values !== null && !Array.isArray(values)) return values;
  } catch {}
  throw usageError(`--config: expected a JSON object in ${path}, got something else`);
}

function checked(values: Values, nameOf: (key: string) => string): TrainConfigInput {
  for (const [key, value] of Object.entries(values)) {
    const { error } = configSchema.shape[key as Key].safeParse(value);
    if (error) throw complaint({ ...error.issues[0], path: [key] }, values, nameOf);
  }
  return values;
}
