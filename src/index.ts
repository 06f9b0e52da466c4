/** easting: train networks in which 99 to 99.99 % of the weights do not exist, with compute that only the rest costs. */
export {
  type Compiled,
  type Cost,
  compile,
  costOf,
  decodeModel,
  encodeModel,
  type Graph,
  type ImageInput,
  interpret,
} from "./compile/index.js";
export * from "./data/index.js";
export { type DemoOptions, demoPage } from "./demo/index.js";
export * from "./east/index.js";
export { EastingError } from "./errors.js";
export {
  type Cell,
  type CellStatus,
  cellOf,
  expandGrid,
  extendManifest,
  openData,
  readManifest,
  runCell,
  sweepStatus,
} from "./experiments/index.js";
export * from "./inference/index.js";
export * from "./models/index.js";
export * from "./nn/index.js";
export * from "./ops/index.js";
export {
  Adam,
  type AdamOptions,
  type Clip,
  type ClipMode,
  clipFactor,
  Optimizer,
  SGD,
  type SgdOptions,
} from "./optim/index.js";
export * as schedules from "./optim/schedule.js";
export * from "./plot/index.js";
export { decodeSafetensors, encodeSafetensors, exportWeights, importWeights } from "./pytorch/index.js";
export * from "./sparse/index.js";
export * from "./tensor/index.js";
export * from "./train/index.js";
export { version } from "./version.js";
