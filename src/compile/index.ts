export { type Bias, type BorderBias, biasCount, biasOf, biasPlane } from "./bias.js";
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
} from "./graph.js";
export { interpret } from "./interpret.js";
export { type MemoryPlan, type MemoryPlanOptions, peakMemory, planMemory } from "./memory-plan.js";
export {
  decodeModel,
  type EncodeOptions,
  encodeModel,
  isModel,
  type ModelFile,
  openModel,
  type WeightType,
  weightTypes,
} from "./model-file/index.js";
export { type Pass, passes } from "./passes/index.js";
export { type Cost, costOf, type PassReport } from "./report.js";
export { type Target, type TargetOptions, targets } from "./targets/index.js";
export { trace } from "./trace.js";
