import type { Cell } from "./cell.js";

/** Calls `work` for each cell in order, `jobs` at a time; none is begun any more once `signal` is aborted. */
export async function runLocally(
  cells: readonly Cell[],
  jobs: number,
  work: (cell: Cell) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const waiting = cells.values();
  const oneAfterAnother = async () => {
    for (const cell of waiting) {
      if (signal?.aborted) return;
      await work(cell);
    }
  };
  await Promise.all(Array.from({ length: jobs }, oneAfterAnother));
}
