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
  synchronize,
  threads,
  useDevice,
} from "./device.js";
export { arithmetic, type Dtype, type TypedArray } from "./dtype.js";
export { type Key, keyWords, type Purpose, permutation, randomBits, sample, uniform } from "./random.js";
export { scope } from "./scope.js";
export { DenseGradient, type LargestGradients, SparseTensor, Topology } from "./sparse-tensor.js";
export {
  addConverted,
  type Channels,
  convert,
  type Deferred,
  emptyChannels,
  type Normalization,
  sizeOf,
  type TapeNode,
  Tensor,
  type TensorOptions,
} from "./tensor.js";
