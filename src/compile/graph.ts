import { expected } from "../errors.js";
import type { Bias } from "./bias.js";

// A network for inference, as steps over planes. A plane is one channel of one activation, height × width numbers; its
// number is unique in the graph, and the image's channels are planes 0 … c − 1. Steps run in order, each reads planes
// that are there and makes new ones. Whatever lies outside a plane reads as 0 (in a max-pool: is not there).

/** What goes in: pixels from 0 to 1, from which `mean` is taken away and which are then divided by `std`. */
export interface ImageInput {
  /** Channels, height, width. */
  readonly shape: readonly [number, number, number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** max(plane + offset, floor), pixel by pixel. */
export interface Reading {
  readonly plane: number;
  readonly offset: number;
  /** -Infinity for none. */
  readonly floor: number;
}

/**
 * One output channel of a convolution; its weights are entries k = first … end − 1 of the step's arrays:
 *
 *   out[y][x] = act(bias[y][x] + residual[y][x] + Σₖ scale · weights[k] · plane(inputs[k])[y·stride + dy[k]][x·stride + dx[k]])
 */
export interface Row {
  readonly plane: number;
  /** Its index among the outputs of the layer that it was traced from. */
  readonly channel: number;
  readonly first: number;
  readonly end: number;
  /** Factor of all weights; the product is rounded to f32 once, by `effectiveWeights`. */
  readonly scale: number;
  readonly bias: Bias;
  readonly residual: Reading | null;
}

/** Weights in compressed sparse rows: plane, tap and value of each. */
export interface Entries {
  readonly inputs: Int32Array;
  readonly dy: Int8Array;
  readonly dx: Int8Array;
  readonly weights: Float32Array;
}

export interface Convolution extends Entries {
  readonly op: "convolution";
  readonly height: number;
  readonly width: number;
  readonly stride: number;
  /** act(v) is max(v, 0), or v. */
  readonly relu: boolean;
  /** Number of the trained weight; steps that share one have the same. Null for a step without any. */
  readonly tensor: number | null;
  readonly rows: readonly Row[];
}

/** out[y][x] = largest of the pixels within [y·stride − padding, … + kernel), likewise in x. */
export interface MaxPool {
  readonly op: "maxPool";
  readonly height: number;
  readonly width: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly rows: readonly { readonly plane: number; readonly channel: number; readonly input: number }[];
}

/** Mean over all pixels, 1 × 1. */
export interface AveragePool {
  readonly op: "averagePool";
  readonly height: 1;
  readonly width: 1;
  readonly rows: readonly { readonly plane: number; readonly channel: number; readonly input: Reading }[];
}

export type Step = Convolution | MaxPool | AveragePool;

export interface Graph {
  readonly image: ImageInput;
  readonly classes: readonly string[];
  /** The last one is a convolution with one 1 × 1 row per class, in order: the logits. */
  readonly steps: readonly Step[];
}

export interface Extent {
  readonly height: number;
  readonly width: number;
}

export const identity = (plane: number): Reading => ({ plane, offset: 0, floor: Number.NEGATIVE_INFINITY });

/** The weights of a row as a runtime uses them. */
export function effectiveWeights({ weights }: Entries, { first, end, scale }: Row): Float32Array {
  const own = weights.subarray(first, end);
  return scale === 1 ? own : own.map((weight) => scale * weight);
}

/** What of a graph says which planes there are and who reads them, whatever it computes in. */
export interface Wiring {
  readonly image: { readonly shape: ImageInput["shape"] };
  readonly steps: readonly WiredStep[];
}

export interface WiredStep extends Extent {
  readonly inputs?: Int32Array;
  readonly rows: readonly WiredRow[];
}

type WiredRow = { readonly plane: number } & (
  | { readonly input: number | { readonly plane: number } }
  | { readonly first: number; readonly end: number; readonly residual: { readonly plane: number } | null }
);

/** Height and width of every plane, by its number. */
export function extents({ image, steps }: Wiring): Map<number, Extent> {
  const [channels, height, width] = image.shape;
  const found = new Map<number, Extent>();
  for (let plane = 0; plane < channels; plane++) found.set(plane, { height, width });
  for (const step of steps) for (const { plane } of step.rows) found.set(plane, step);
  return found;
}

/** The planes that a row of a step reads, once per reading. */
export function* reads({ inputs }: WiredStep, row: WiredRow): Generator<number> {
  if ("input" in row) yield typeof row.input === "number" ? row.input : row.input.plane;
  else {
    if (inputs) for (let k = row.first; k < row.end; k++) yield inputs[k];
    if (row.residual) yield row.residual.plane;
  }
}

/** The step that computes the logits. */
export function logitsOf({ steps }: Graph): Convolution {
  const last = steps.at(-1);
  if (last?.op !== "convolution")
    throw expected("graph", "a convolution as the last step", last?.op ?? "no step", undefined, "EASTING_INTERNAL");
  return last;
}

/** The graph with each convolution replaced; one left without rows is gone. */
export function mapConvolutions(graph: Graph, change: (step: Convolution) => Convolution): Graph {
  const steps = graph.steps.map((step) => (step.op === "convolution" ? change(step) : step));
  return { ...graph, steps: steps.filter(({ rows }) => rows.length > 0) };
}
