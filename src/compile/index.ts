export { type Bias, type BorderBias, biasCount, biasOf, biasPlane } from "./bias.js";
export { calibrate, normalized, type PlaneScale } from "./calibrate.js";
export { type Compiled, compile } from "./compile.js";
export {
  type AveragePool,
  type Convolution,
  type Extent,
  effectiveWeights,
  extents,
  type Graph,
  type ImageInput,
  logitsOf,
  type MaxPool,
  type Reading,
  type Row,
  reads,
  type Step,
  type WiredStep,
  type Wiring,
} from "./graph.js";
export {
  type Int8AveragePool,
  type Int8Convolution,
  type Int8Graph,
  type Int8Reading,
  type Int8Row,
  type Int8Step,
  NO_FLOOR,
  type Requantization,
} from "./int8-graph.js";
export { interpret, interpretPlanes, type Plane } from "./interpret.js";
export { interpretInt8 } from "./interpret-int8.js";
export { type MemoryPlan, type MemoryPlanOptions, peakMemory, planMemory } from "./memory-plan.js";
export {
  decodeModel,
  type EncodeOptions,
  encodeModel,
  fromHalf,
  isModel,
  type ModelFile,
  openModel,
  type ValueType,
  type WeightType,
  weightTypes,
} from "./model-file/index.js";
export { type Pass, passes } from "./passes/index.js";
export { quantize } from "./quantize.js";
export { type Cost, costOf, type PassReport } from "./report.js";
export { type Target, type TargetOptions, targets } from "./targets/index.js";
export { trace } from "./trace.js";
