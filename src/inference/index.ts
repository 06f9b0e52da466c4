export type { Classification, Prediction } from "./classify.js";
export { load, Network, type RunOptions } from "./network.js";
export type { DecodedImage, Images, PixelLayout, Pixels } from "./pixels.js";
