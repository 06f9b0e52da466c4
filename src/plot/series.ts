import type { Run } from "./run.js";

/** Runs that differ by nothing but their seed (and what else is left out): one line of a picture. */
export interface Series {
  readonly label: string;
  readonly runs: readonly Run[];
}

/** Settings that a label names first. */
const telling = ["model", "data", "method", "sparsity"];

/**
 * Groups runs by all settings but those in `without`. A label names the settings that tell the groups apart, and no more:
 * what follows from those named already stays out.
 */
export function seriesOf(runs: readonly Run[], without: readonly string[] = ["seed"]): Series[] {
  const kept = ({ settings }: Run) => Object.entries(settings).filter(([key]) => !without.includes(key));
  const groups = [...grouped(runs, (run) => JSON.stringify(kept(run).sort())).values()];
  const keys = [...telling, ...Object.keys(groups[0]?.[0].settings ?? {})].filter((key) => !without.includes(key));
  const parts: string[][] = groups.map(() => []);
  const named = () => parts.map((part) => part.join(", "));
  for (const key of new Set(keys)) {
    const labels = named();
    const splits = groups.some((group, i) =>
      groups.some(
        (other, j) =>
          labels[i] === labels[j] && text(key, group[0].settings[key]) !== text(key, other[0].settings[key]),
      ),
    );
    if (splits) for (const [i, [{ settings }]] of groups.entries()) parts[i].push(text(key, settings[key]));
  }
  return groups.map((group, i) => {
    const { model, method, sparsity } = group[0].settings;
    const alone = [model, method, ...(without.includes("sparsity") ? [] : [text("sparsity", sparsity)])].join(", ");
    return { label: parts[i].join(", ") || alone, runs: group };
  });
}

/** Items by key, in the order in which the keys first appear. */
export function grouped<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

function text(key: string, value: unknown): string {
  if (key === "sparsity") return `${value} %`;
  return telling.includes(key) ? String(value) : `${key} ${value ?? "by default"}`;
}

/** A number measured at a place of the x axis. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Mean, and one standard deviation (of the sample) to both sides, over the runs that have a value there. */
export interface Band extends Point {
  readonly low: number;
  readonly high: number;
  readonly runs: number;
}

/** Joins the lines of several runs into one with a band, in the order of x. */
export function band(lines: readonly (readonly Point[])[]): Band[] {
  const at = new Map<number, number[]>();
  for (const { x, y } of lines.flat()) at.set(x, [...(at.get(x) ?? []), y]);
  return [...at]
    .sort(([a], [b]) => a - b)
    .map(([x, values]) => {
      const runs = values.length;
      const y = values.reduce((sum, value) => sum + value, 0) / runs;
      const squares = values.reduce((sum, value) => sum + (value - y) ** 2, 0);
      const std = runs > 1 ? Math.sqrt(squares / (runs - 1)) : 0;
      return { x, y, low: y - std, high: y + std, runs };
    });
}
