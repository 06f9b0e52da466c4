export type { ConvAlgorithm } from "./conv-algorithm.js";
export { type ConvOptions, conv2d, linear } from "./convolution.js";
export { type DctOptions, dctConv2d, dctLinear } from "./dct.js";
export { type DyReluOptions, dyrelu } from "./dyrelu.js";
export { add, cast, mean, multiply, relu, reshape, scale, scaleBy, sum } from "./elementwise.js";
export { countCorrect, crossEntropy } from "./loss.js";
export { type BatchNormOptions, batchNorm } from "./normalize.js";
export { globalAveragePool, maxPool } from "./pool.js";
export type { SparseConv } from "./sparse-conv.js";
