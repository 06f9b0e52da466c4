import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { DataOptions, ImageDataset } from "./dataset.js";
import { datasetNames, openDataset } from "./open.js";

/** How to open a data set; stands in a run's receipt. */
export type DataSource = {
  /** Name or absolute folder. */
  readonly from: string;
  readonly validation: "split" | "none";
  /** Side of the squares that images of a folder are scaled to. */
  readonly imageSize?: number;
  /** False where mirrored images mean something else. */
  readonly flip?: boolean;
};

/** Names stay, folders become absolute, so that a run is resumed from anywhere. */
export const absoluteSource = (from: string) =>
  (datasetNames as readonly string[]).includes(from) || !statSync(from, { throwIfNoEntry: false })
    ? from
    : resolve(from);

export const openDataSource = (
  { from, validation, imageSize, flip }: DataSource,
  options: Pick<DataOptions, "onProgress" | "signal"> = {},
): Promise<ImageDataset> =>
  openDataset(from, {
    validation,
    ...(imageSize && { size: imageSize }),
    ...(flip !== undefined && { flip }),
    ...options,
  });
