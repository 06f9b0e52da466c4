export { decodeModel, isModel, type ModelFile, openModel } from "./decode.js";
export { type EncodeOptions, encodeModel } from "./encode.js";
export { limits, type ValueType, type WeightType, weightTypes } from "./format.js";
export { fromHalf } from "./half.js";
