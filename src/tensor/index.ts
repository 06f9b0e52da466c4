export {
  type Backward,
  backward,
  defineOp,
  noGradient,
  type OpRecord,
  opNames,
  recordedAsNow,
  tape,
} from "./autograd.js";
export {
  type ChosenDevice,
  type Device,
  type DeviceRequest,
  defaultDevice,
  deviceRequest,
  memory,
  resolveDevice,
  threads,
  useDevice,
} from "./device.js";
export { arithmetic, type Dtype, type TypedArray } from "./dtype.js";
export { type Key, keyWords, type Purpose, permutation, randomBits, sample, uniform } from "./random.js";
export type { Channels, Deferred, Normalization, TapeNode } from "./record.js";
export { scope } from "./scope.js";
export { DenseGradient, type LargestGradients, SparseTensor, Topology } from "./sparse-tensor.js";
export {
  addConverted,
  convert,
  emptyChannels,
  sizeOf,
  synchronize,
  Tensor,
  type TensorOptions,
} from "./tensor.js";
