import { createHash } from "node:crypto";
import { type DataSource, type ImageDataset, openDataSource } from "../data/index.js";
import {
  type ImageFormat,
  imageFormat,
  prepare,
  resolveConfig,
  type TrainConfig,
  type TrainConfigInput,
} from "../east/index.js";
import { canonicalJson, type JsonObject } from "../train/index.js";

/** What a run learns from, and what tells those images from others. */
export interface CellData {
  readonly source: DataSource;
  /** SHA-256 of all pixels and labels. */
  readonly hash: string;
  /** Training images. */
  readonly train: number;
}

/** One run of a sweep: a resolved configuration and its data. */
export interface Cell {
  /** Hash of everything that can change the result, and of nothing else. */
  readonly id: string;
  readonly config: TrainConfig;
  readonly data: CellData;
}

/** Images that cells are made for. */
export interface OpenedData {
  readonly data: CellData;
  readonly images: ImageFormat;
}

/** Settings that are not what the method has by default, so that cells outlive settings yet to come. */
function ownSettings(config: TrainConfig): [string, unknown][] {
  const { model, method, sparsity, epochs, seed } = config;
  const usual: Readonly<Record<string, unknown>> = resolveConfig({ model, method, sparsity, epochs, seed });
  return Object.entries(config).filter(([key, value]) => value !== usual[key]);
}

/** Folder, name and output place of a run may change; settings, pixels, labels and the split may not. */
export function cellId(config: TrainConfig, { source, hash, train }: CellData): string {
  const flip = source.flip ?? true;
  const { model, method, sparsity, epochs, seed } = config;
  const own = Object.fromEntries(ownSettings(config)) as JsonObject;
  const content = { config: { model, method, sparsity, epochs, seed, ...own }, data: { hash, train, flip } };
  return createHash("sha256").update(canonicalJson(content)).digest("hex").slice(0, 16);
}

/** The cell of a configuration, with its faults found before anything is computed. */
export function cellOf(input: TrainConfigInput, { data, images }: OpenedData): Cell {
  const resolved = resolveConfig(input);
  const config = resolved.method === "dense" ? { ...resolved, sparsity: 0 } : resolved;
  const { model, fit } = prepare(config, images, data.train);
  fit.optimizer.dispose();
  model.dispose();
  return { id: cellId(config, data), config, data };
}

/** Opens the data of cells; slow the first time, when an image folder is decoded. */
export async function openData(source: DataSource, signal?: AbortSignal): Promise<OpenedData> {
  const dataset = await openDataSource(source, { signal });
  try {
    return { data: dataOf(source, dataset), images: imageFormat(dataset) };
  } finally {
    await dataset.close();
  }
}

export const dataOf = (source: DataSource, { hash, train }: ImageDataset): CellData => ({
  source,
  hash,
  train: train.count,
});

/** resnet34 rigl 99.9 % dyrelu true, cifar10, 250 epochs, seed 1: with the settings that are not the method's own. */
export function describeCell({ config, data }: Cell): string {
  const { model, method, sparsity, epochs, seed } = config;
  const own = ownSettings(config).map((setting) => setting.join(" "));
  const by = [method === "dense" ? "dense" : `${method} ${sparsity} %`, ...own];
  const from = data.source.from.split(/[\\/]/).at(-1);
  return `${model} ${by.join(" ")}, ${from}, ${epochs} epoch${epochs === 1 ? "" : "s"}, seed ${seed}`;
}
