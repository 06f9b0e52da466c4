export type { DropScore, GrowScore, TopologyChange } from "./change.js";
export * from "./diagnostics/index.js";
export {
  type Distribution,
  distributions,
  equalPerFilter,
  equalPerLayer,
  erdosRenyi,
  erdosRenyiKernel,
  erdosRenyiKernelDensities,
  type LayerShape,
  uniformDistribution,
} from "./distribution.js";
export { dropAndGrow, dueEvery, growingBy, scaledInterval } from "./drop-and-grow.js";
export { ensureLive } from "./live-topology.js";
export { type Liveness, liveFraction, liveness, livenessOf } from "./liveness.js";
export {
  type Initialize,
  type MethodOptions,
  type RuleContext,
  randomTopology,
  type SparseMethod,
  type StartingNetwork,
  type UpdateRule,
} from "./method.js";
export * from "./methods/index.js";
export { type CyclicDensityOptions, cubicDensity, cyclicDensity, dropFractionCosine } from "./schedule.js";
export { type LayerSummary, type NetworkSummary, summarize } from "./summary.js";
export { type Candidates, changeTopology, growthTie, type LayerChange, planned, rewire } from "./topology.js";
export { nnzOf, prunable, SparseTraining, type SparseTrainingOptions } from "./training.js";
