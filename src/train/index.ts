export type { Callback, TrainContext } from "./callback.js";
export {
  type CheckpointContent,
  canonicalJson,
  type Json,
  type JsonObject,
  readCheckpoint,
  type SectionData,
  writeCheckpoint,
} from "./checkpoint.js";
export { fileError, readWhole, replaceFile } from "./durable-file.js";
export { type Evaluation, evaluate } from "./evaluate.js";
export type { EndEvent, EpochEvent, TrainEvent } from "./events.js";
export { type Checkpoint, captureRun, type FitOptions, fit, NotFiniteError, restoreRun } from "./fit.js";
export { type RecordOptions, type RunHooks, recordRun } from "./record.js";
export {
  createRun,
  latestCheckpoint,
  resolveCheckpoint,
  saveCheckpoint,
  writeReceipt,
  writeResult,
} from "./run-folder.js";
export { EventLog, type RunEvent, readEvents } from "./run-log.js";
export { collectState, restoreState } from "./state.js";
