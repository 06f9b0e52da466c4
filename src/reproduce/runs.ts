import type { DataSource } from "../data/index.js";
import type { TrainConfigInput } from "../east/index.js";
import { type Cell, cellOf, type OpenedData, openData } from "../experiments/index.js";
import type { Experiment } from "./experiment.js";
import type { Entry } from "./select.js";

/** An entry of a table with its runs, one per seed. */
export interface EntryRuns {
  readonly entry: Entry;
  readonly cells: readonly Cell[];
}

export interface RunOptions {
  readonly epochs?: number;
  /** Seeds 1 to this number. */
  readonly seeds: number;
  /** Where data sets lie, by their name in the paper; others are opened by that name. */
  readonly sources: ReadonlyMap<string, DataSource>;
}

/** The paper's settings of one entry. */
export function settingsOf(
  experiment: Experiment,
  { model, sparsity, method }: Entry,
  epochs?: number,
): TrainConfigInput {
  const published = method.epochs ?? experiment.epochs;
  return {
    model,
    sparsity,
    ...experiment.settings,
    ...(published && { epochs: published }),
    ...method.settings,
    ...(epochs && { epochs }),
  };
}

/** The runs of each entry. Opens every data set once. */
export async function resolveRuns(
  experiment: Experiment,
  entries: readonly Entry[],
  { epochs, seeds, sources }: RunOptions,
): Promise<EntryRuns[]> {
  const opened = new Map<string, OpenedData>();
  for (const { data } of entries) {
    if (opened.has(data)) continue;
    opened.set(data, await openData(sources.get(data) ?? { from: data, validation: "split" }));
  }
  return entries.map((entry) => {
    const settings = settingsOf(experiment, entry, epochs);
    const data = opened.get(entry.data) as OpenedData;
    const cells = Array.from({ length: seeds }, (_, i) => cellOf({ ...settings, seed: i + 1 }, data));
    return { entry, cells };
  });
}
