export { Adam, type AdamOptions } from "./adam.js";
export { type Clip, type ClipMode, clipFactor } from "./clip.js";
export { Optimizer, type StepContext } from "./optimizer.js";
export * from "./schedule.js";
export { SGD, type SgdOptions } from "./sgd.js";
