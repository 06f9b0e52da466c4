export { configSchema, methodNames, resolveConfig, type TrainConfig, type TrainConfigInput } from "./config.js";
export { type CyclicSparsityOptions, cyclicSparsity } from "./cyclic-sparsity.js";
export { DyReluPhasing, type DyReluPhasingOptions } from "./dyrelu-phasing.js";
export { initialNetwork } from "./initial.js";
export { type ImageFormat, imageFormat, openNetwork, prepare, type Recipe } from "./recipe.js";
export { type TrainOptions, train } from "./train.js";
export { fullSize, SharedConv2d, shareWeights, type WeightSharingOptions } from "./weight-sharing.js";
