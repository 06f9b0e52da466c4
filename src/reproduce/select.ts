import { expected, nearest } from "../errors.js";
import { modelNames } from "../models/index.js";
import type { Experiment, Method } from "./experiment.js";

/** A cell of a table: runs that differ by seed only. */
export interface Entry {
  readonly model: string;
  readonly data: string;
  /** Percent; 0 for a dense network. */
  readonly sparsity: number;
  readonly method: Method;
}

export const entryKey = ({ model, data, sparsity, method }: Entry) => `${model}/${data}/${sparsity}/${method.name}`;

/**
 * The cells that patterns ask for. A pattern is `network/data/sparsity/method`, its end left out at will; patterns are
 * separated by commas. A part with `*` or `?` chooses among what the paper has; a plain one is taken as it is, so that
 * cells which the paper does not have can be asked for.
 */
export function selectEntries(experiment: Experiment, patterns = "*"): Entry[] {
  const entries = patterns.split(",").flatMap((pattern) => selectOne(experiment, pattern.trim()));
  return [...new Map(entries.map((entry) => [entryKey(entry), entry])).values()];
}

function selectOne(experiment: Experiment, pattern: string): Entry[] {
  const parts = pattern.split("/");
  if (pattern === "" || parts.length > 4)
    throw wrong("patterns such as resnet34/cifar10/99.9 or */cifar10/*/east", `"${pattern}"`);
  const [model = "*", data = "*", sparsity = "*", method = "*"] = parts;
  const models = choose(model, experiment.models, modelNames);
  const sets = choose(data, experiment.data);
  const sparsities = choose(sparsity, experiment.sparsities.map(String)).map(Number);
  const wrongSparsity = sparsities.find((value) => !(value > 0 && value < 100));
  if (wrongSparsity !== undefined) throw wrong("a sparsity between 0 and 100", `"${sparsity}"`);
  const names = experiment.methods.map(({ name }) => name);
  const chosen = choose(method, names, names);
  const methods = experiment.methods.filter(({ name }) => chosen.includes(name));
  return models.flatMap((model) =>
    sets.flatMap((data) =>
      sparsities.flatMap((value) =>
        methods.map((method) => ({ model, data, sparsity: method.settings.method === "dense" ? 0 : value, method })),
      ),
    ),
  );
}

/** The values that one part of a pattern stands for; a plain one must be among `allowed`, if there is such a list. */
function choose(part: string, ours: readonly string[], allowed?: readonly string[]): string[] {
  if (/[*?]/.test(part)) {
    const text = part
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".");
    const found = ours.filter((value) => new RegExp(`^${text}$`).test(value));
    if (found.length === 0) throw wrong(`a pattern that fits some of ${ours.join(", ")}`, `"${part}"`);
    return found;
  }
  if (!allowed || allowed.includes(part)) return [part];
  const near = nearest(part, allowed);
  throw wrong(`one of ${allowed.join(", ")}`, `"${part}"`, near && `did you mean ${near}?`);
}

const wrong = (wanted: string, got: string, hint?: string) => expected("--cells", wanted, got, hint, "EASTING_USAGE");
