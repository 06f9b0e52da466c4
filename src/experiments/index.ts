export { type CellState, type CellStatus, cellStatus, sweepStatus } from "./board.js";
export { type Cell, type CellData, cellId, cellOf, describeCell, type OpenedData, openData } from "./cell.js";
export { expandGrid, type GridPoint } from "./grid.js";
export { runLocally } from "./local.js";
export { extendManifest, manifestPath, readManifest, runFolder } from "./manifest.js";
export { slurmScript } from "./slurm.js";
export { isDone, type Outcome, runCell, type WorkerOptions } from "./worker.js";
