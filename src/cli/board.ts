import type { CellStatus } from "../experiments/index.js";
import { duration, percent, table } from "./format.js";

/** Where the cells of a sweep stand, one a line. */
export function board(statuses: readonly CellStatus[]): string {
  const rows = statuses.map(({ id, cell, state, epoch, epochs, accuracy, seconds, message }, i) => [
    String(i),
    id,
    cell,
    state,
    `${epoch}/${epochs}`,
    accuracy === null ? "–" : percent(accuracy),
    seconds === null ? "–" : duration(seconds),
    message ?? "",
  ]);
  const states = statuses.map(({ state }) => state);
  const counts = [...new Set(states)]
    .map((one) => `${states.filter((state) => state === one).length} ${one}`)
    .join(", ");
  const heading = ["", "id", "cell", "state", "epoch", "accuracy", "age", ""];
  return `${table(heading, rows, [1, 2, 3, 7])}\n${statuses.length} cells: ${counts}\n`;
}
