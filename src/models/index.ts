import { expected, nearest } from "../errors.js";
import type { Module } from "../nn/index.js";
import * as resnet from "./resnet.js";

export { type LayerFactory, type NetworkOptions, ResidualBlock, ResNet } from "./resnet.js";

/** Networks by the name used on the command line. */
export const models = {
  resnet20: resnet.resnet20,
  resnet32: resnet.resnet32,
  resnet56: resnet.resnet56,
  resnet18: resnet.resnet18,
  resnet34: resnet.resnet34,
  resnet50: resnet.resnet50,
  "resnet18-imagenet": resnet.resnet18ImageNet,
  "resnet34-imagenet": resnet.resnet34ImageNet,
  "resnet50-imagenet": resnet.resnet50ImageNet,
} as const satisfies Record<string, (options: resnet.NetworkOptions) => Module>;

export type ModelName = keyof typeof models;
export const modelNames = Object.keys(models) as ModelName[];

/** Builds a network by name; its weights take memory only when first used. */
export function buildModel(name: string, options: resnet.NetworkOptions): Module {
  const build = models[name as ModelName];
  if (!build) {
    const near = nearest(name, modelNames);
    const hint = near && `did you mean ${near}?`;
    throw expected("model", `one of ${modelNames.join(", ")}`, name, hint, "EASTING_UNKNOWN_MODEL");
  }
  return build(options);
}
