import { only, type Run } from "./run.js";
import { valuesOf } from "./values.js";

type Cell = string | number | null;

/** One row per epoch: every number of its event, and what diagnostics looked at its end. */
export function epochsCsv(run: Run): string {
  const looked = new Map<number, Map<string, number>>();
  for (const { step, positive } of only(run, "pre-activations")) put(looked, step, "positivePreActivations", positive);
  for (const { step, norm } of only(run, "gradient-flow")) put(looked, step, "gradientFlow", norm);
  const rows = only(run, "epoch").map((event) => {
    const own = valuesOf(event).map(({ key, value }) => [key, value] as const);
    return new Map<string, number>([
      ["epoch", event.epoch],
      ["step", event.step],
      ...own,
      ...(looked.get(event.step) ?? []),
    ]);
  });
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  return csv([columns, ...rows.map((row) => columns.map((column) => row.get(column) ?? null))]);
}

function put(into: Map<number, Map<string, number>>, step: number, key: string, value: number): void {
  into.set(step, (into.get(step) ?? new Map<string, number>()).set(key, value));
}

/** One row per number of a layer, with the step and the event that tells of it. */
export function layersCsv(run: Run): string {
  const rows = run.events
    .filter(({ type }) => type !== "histograms")
    .flatMap((event) =>
      valuesOf(event).flatMap(({ key, value, layer }) =>
        layer === null ? [] : [[event.step, event.step / run.stepsPerEpoch, event.type, layer, key, value]],
      ),
    );
  return csv([["step", "epochs", "event", "layer", "quantity", "value"], ...rows]);
}

/** RFC 4180, with lines that end in a newline alone; null is an empty cell. */
const csv = (rows: readonly (readonly Cell[])[]): string =>
  rows.map((row) => `${row.map((cell) => quoted(String(cell ?? ""))).join(",")}\n`).join("");

const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
