export { exportWeights } from "./export.js";
export { importWeights, usualTensors } from "./import.js";
export { decodeSafetensors, encodeSafetensors, type SafetensorsContent, type StoredTensor } from "./safetensors.js";
