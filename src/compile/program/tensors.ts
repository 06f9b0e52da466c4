import { type Convolution, effectiveWeights, type Graph, type Row } from "../graph.js";
import type { Int8Graph } from "../int8-graph.js";
import { codeShared, type SharedTensor, type SharedUse } from "../model-file/shared-tensor.js";
import { tapBox } from "../model-file/tap-box.js";

/** A convolution as use of a tensor: the channels of its rows among the tensor's outputs, ascending. */
export interface Use extends SharedUse {
  readonly channels: readonly number[];
  /** Whether weights are to be multiplied by their row's scale. */
  readonly scaled: boolean;
}

export interface Tensors {
  readonly tensors: readonly SharedTensor[];
  readonly uses: ReadonlyMap<unknown, Use>;
}

/** The weights of every convolution as tensors: those that steps share once, others as tensors of one step alone. */
export function sharedTensors(graph: Graph): Tensors {
  const { tensors, uses: shared } = codeShared(graph);
  const uses = new Map<unknown, Use>();
  for (const step of graph.steps) {
    if (step.op !== "convolution") continue;
    const use = shared.get(step);
    if (use) uses.set(step, { ...use, channels: step.rows.map(({ channel }) => channel), scaled: true });
    else
      uses.set(
        step,
        addOwn(tensors, step, (row) => effectiveWeights(step, row as Row)),
      );
  }
  return { tensors, uses };
}

/** Likewise for a graph in integers, whose steps share nothing: their weights are in units of their rows. */
export function ownTensors(graph: Int8Graph): Tensors {
  const tensors: SharedTensor[] = [];
  const uses = new Map<unknown, Use>();
  for (const step of graph.steps)
    if (step.op === "convolution")
      uses.set(
        step,
        addOwn(tensors, step, ({ first, end }) => step.weights.subarray(first, end)),
      );
  return { tensors, uses };
}

/** Adds the weights of one step, of which the inputs are the planes that it reads, in order, and the outputs its rows. */
export function addOwn(
  tensors: SharedTensor[],
  step: Pick<Convolution, "inputs" | "dy" | "dx"> & { readonly rows: readonly { first: number; end: number }[] },
  weights: (row: { first: number; end: number }) => ArrayLike<number>,
): Use {
  const { rows, inputs, dy, dx } = step;
  const planes = [...new Set(rows.flatMap(({ first, end }) => Array.from(inputs.subarray(first, end))))];
  planes.sort((a, b) => a - b);
  const box = planes.length > 0 ? tapBox(step) : { top: 0, left: 0, height: 1, width: 1 };
  const number = new Map(planes.map((plane, i) => [plane, i]));
  const entries = rows.flatMap((row, r) =>
    Array.from(weights(row), (value, i) => {
      const k = row.first + i;
      const pair = r * planes.length + (number.get(inputs[k]) as number);
      return { position: (pair * box.height + dy[k] - box.top) * box.width + dx[k] - box.left, value };
    }),
  );
  entries.sort((a, b) => a.position - b.position);
  const positions = entries.map(({ position }) => position);
  tensors.push({
    outputs: rows.length,
    inputs: planes.length,
    box,
    positions,
    values: entries.map(({ value }) => value),
  });
  const all = (count: number) => Array.from({ length: count }, (_, i) => i);
  return { tensor: tensors.length - 1, inputs: all(planes.length), planes, channels: all(rows.length), scaled: false };
}
