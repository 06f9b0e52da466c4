export {
  type Distribution,
  erdosRenyi,
  erdosRenyiKernel,
  type LayerShape,
  uniformDistribution,
} from "./distribution.js";
export { type DropAndGrowOptions, dropAndGrow, scaledInterval } from "./drop-and-grow.js";
export { type Liveness, liveFraction, liveness, livenessOf } from "./liveness.js";
export {
  type DropScore,
  type GrowScore,
  type Initialize,
  randomTopology,
  type SparseMethod,
  type TopologyChange,
} from "./method.js";
export { dense, type MethodName, methods, rigl, set, staticRandom } from "./methods/index.js";
export { type CyclicDensityOptions, cyclicDensity, dropFractionCosine } from "./schedule.js";
export { type LayerSummary, type NetworkSummary, summarize } from "./summary.js";
export { changeTopology, type LayerChange } from "./topology.js";
export { nnzOf, prunable, SparseTraining, type SparseTrainingOptions } from "./training.js";
