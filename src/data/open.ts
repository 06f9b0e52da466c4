import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { EastingError, nearest } from "../errors.js";
import { type CifarKind, type CifarOptions, openCifar, recogniseCifar } from "./cifar.js";
import type { ImageDataset } from "./dataset.js";
import { digitsDataset } from "./digits.js";
import { recogniseImageFolder } from "./image-files.js";
import { type ImageFolderOptions, openImageFolder } from "./image-folder.js";
import { type SyntheticOptions, syntheticDataset } from "./synthetic.js";

/** Options of every kind of data set; each takes what concerns it. */
export type OpenOptions = CifarOptions & ImageFolderOptions & SyntheticOptions;

export const datasetNames = ["digits", "synthetic", "cifar10", "cifar100"] as const;

/** Folder that holds `cifar10/` and `cifar100/`: `EASTING_DATA`, else the user's data folder. */
export function dataRoot(): string {
  if (process.env.EASTING_DATA) return process.env.EASTING_DATA;
  return join(process.env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "easting");
}

/** Opens what a folder holds: CIFAR in binary form or images by class. Null when neither. */
async function openFolder(folder: string, options: OpenOptions): Promise<ImageDataset | null> {
  const kind = recogniseCifar(folder);
  if (kind) return openCifar(kind, folder, options);
  return recogniseImageFolder(folder) ? openImageFolder(folder, options) : null;
}

/** CIFAR by name: in `<root>/<name>`, as the author's files or as images, or unpacked in the root itself. */
async function openNamedCifar(kind: CifarKind, options: OpenOptions): Promise<ImageDataset> {
  const root = dataRoot();
  const own = join(root, kind);
  for (const folder of [own, root]) {
    if (recogniseCifar(folder) === kind) return openCifar(kind, folder, options);
  }
  if (existsSync(own) && recogniseImageFolder(own)) return openImageFolder(own, options);
  return openCifar(kind, own, options); // downloads, or says what is missing
}

function unknown(name: string): EastingError {
  const near = nearest(name, datasetNames);
  const names = datasetNames.map((known) => `"${known}"`).join(", ");
  return new EastingError(
    "EASTING_DATA_UNKNOWN",
    `data: expected ${names} or a folder, got "${name}"`,
    near ? `did you mean "${near}"?` : "check the path",
  );
}

/**
 * Opens a data set: "digits" (in the package), "synthetic", "cifar10", "cifar100" (from `EASTING_DATA`), or a folder
 * with CIFAR files or with images by class.
 */
export async function openDataset(nameOrFolder: string, options: OpenOptions = {}): Promise<ImageDataset> {
  switch (nameOrFolder) {
    case "digits":
      return digitsDataset(options);
    case "synthetic":
      return syntheticDataset(options);
    case "cifar10":
    case "cifar100":
      return openNamedCifar(nameOrFolder, options);
  }
  const found = statSync(nameOrFolder, { throwIfNoEntry: false });
  if (!found) throw unknown(nameOrFolder);
  const dataset = found.isDirectory() ? await openFolder(nameOrFolder, options) : null;
  if (dataset) return dataset;
  throw new EastingError(
    "EASTING_DATA_UNKNOWN",
    `data: expected a folder with CIFAR .bin files, train/<class>/* and test/<class>/*, or <class>/*, got ${nameOrFolder}`,
    found.isDirectory() ? "check what the folder holds" : "unpack it into a folder",
  );
}
