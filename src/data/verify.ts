import type { ImageSet } from "./dataset.js";
import { type OpenOptions, openDataset } from "./open.js";

/** What a whole, readable data set holds. */
export interface DataReport {
  readonly name: string;
  readonly classes: readonly string[];
  readonly shape: readonly [number, number, number];
  readonly counts: { readonly train: number; readonly validation: number; readonly test: number };
  /** Images of each class, in the order of `classes`. */
  readonly classCounts: {
    readonly train: readonly number[];
    readonly validation: readonly number[];
    readonly test: readonly number[];
  };
  readonly hash: string;
  readonly note: string | null;
}

function perClass(set: ImageSet, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of set.labels) counts[label]++;
  return counts;
}

/**
 * Reads a data set from its files, not from a cache, checks what can be checked, and counts. A missing, cut off or
 * altered file is an `EastingError` that names it.
 */
export async function verifyDataset(nameOrFolder: string, options: OpenOptions = {}): Promise<DataReport> {
  const data = await openDataset(nameOrFolder, { ...options, refresh: true });
  try {
    const { name, classes, shape, hash, note, train, validation, test } = data;
    return {
      name,
      classes,
      shape,
      counts: { train: train.count, validation: validation.count, test: test.count },
      classCounts: {
        train: perClass(train, classes.length),
        validation: perClass(validation, classes.length),
        test: perClass(test, classes.length),
      },
      hash,
      note,
    };
  } finally {
    await data.close();
  }
}
