import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { TrainConfig } from "../east/index.js";
import { EastingError } from "../errors.js";
import { fileError, replaceFile } from "../train/index.js";
import { type Cell, cellId } from "./cell.js";

const cellSchema = z.strictObject({
  id: z.string(),
  // Held to the hash in `id`, which was taken of a checked configuration.
  config: z.custom<TrainConfig>((value) => typeof value === "object" && value !== null),
  data: z.strictObject({
    source: z.strictObject({
      from: z.string(),
      validation: z.enum(["split", "none"]),
      imageSize: z.number().optional(),
      flip: z.boolean().optional(),
    }),
    hash: z.string(),
    train: z.number(),
  }),
});

export const manifestPath = (sweep: string) => join(sweep, "sweep.jsonl");
/** The run folder of a cell. */
export const runFolder = (sweep: string, id: string) => join(sweep, "runs", id);

/** The cells of a sweep, one line of `sweep.jsonl` each, in order. */
export async function readManifest(sweep: string): Promise<Cell[]> {
  const path = manifestPath(sweep);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fileError(
      "EASTING_SWEEP_READ",
      "read the cells of a sweep from",
      path,
      error,
      "make them with easting sweep plan",
    );
  }
  return text
    .split("\n")
    .map((line, i) => [line, i + 1] as const)
    .filter(([line]) => line !== "")
    .map(([line, number]) => parseCell(line, `${path}, line ${number}`));
}

function parseCell(line: string, where: string): Cell {
  try {
    const cell = cellSchema.parse(JSON.parse(line));
    if (cellId(cell.config, cell.data) === cell.id) return cell;
  } catch {}
  throw new EastingError(
    "EASTING_SWEEP_READ",
    `${where}: expected a cell as easting sweep plan wrote it, got one that was altered or cut off`,
    "plan the sweep again",
  );
}

/** Adds the cells that are new at the end, so that the numbers of the others stay; returns all, and how many are new. */
export async function extendManifest(
  sweep: string,
  cells: readonly Cell[],
): Promise<{ readonly cells: readonly Cell[]; readonly added: number }> {
  const path = manifestPath(sweep);
  try {
    await mkdir(sweep, { recursive: true });
    const before = await readManifest(sweep).catch((error) => {
      if (error.cause?.code === "ENOENT") return [];
      throw error;
    });
    const all = new Map([...before, ...cells].map((cell) => [cell.id, cell]));
    const text = [...all.values()].map((cell) => `${JSON.stringify(cell)}\n`).join("");
    await replaceFile(path, Buffer.from(text));
    return { cells: [...all.values()], added: all.size - before.length };
  } catch (error) {
    if (error instanceof EastingError) throw error;
    throw fileError("EASTING_SWEEP_WRITE", "write", path, error);
  }
}
