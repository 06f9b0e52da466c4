export {
  type Activation,
  type ActivationFactory,
  DyReLU,
  type DyReLUOptions,
  type DyReluPhase,
  ReLU,
} from "./activation.js";
export { BatchNorm2d } from "./batch-norm.js";
export { Conv2d, type Conv2dOptions, useConvAlgorithm } from "./conv.js";
export { DctConv2d, DctLinear } from "./dct-conv.js";
export { constant, Initializer } from "./initialize.js";
export { Linear, type LinearOptions } from "./linear.js";
export { Module, Sequential } from "./module.js";
export { type Initial, Parameter } from "./parameter.js";
export { GlobalAveragePool, MaxPool } from "./pool.js";
