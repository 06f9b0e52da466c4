export { Adam, type AdamOptions } from "./adam.js";
export { clipFactor, type ClipMode } from "./clip.js";
export { Optimizer, type StepContext } from "./optimizer.js";
export * from "./schedule.js";
export { SGD, type SgdOptions } from "./sgd.js";
