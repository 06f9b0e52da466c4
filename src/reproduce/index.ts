export { type Experiment, type ExperimentName, experimentNames, experiments, type Method } from "./experiment.js";
export { type Figure, figureOf } from "./figures.js";
export { accuracyReport, printed, type Report } from "./report.js";
export { collectRows, type Row } from "./rows.js";
export { type EntryRuns, resolveRuns } from "./runs.js";
export { type Entry, entryKey, selectEntries } from "./select.js";
export { table2, table2Report } from "./table2.js";
