import type { Convolution, Graph } from "../graph.js";
import type { Int8Convolution, Int8Graph } from "../int8-graph.js";
import { type ChannelUse, unused } from "./channel-set.js";
import { limits } from "./format.js";
import type { ModelSource } from "./source.js";
import type { StructureWriter } from "./structure.js";
import { decodeBox, encodeBox, type TapBox, tapBox } from "./tap-box.js";

/** A trained weight that several steps use, in the channels of the trained network. */
export interface SharedTensor {
  readonly outputs: number;
  readonly inputs: number;
  readonly box: TapBox;
  /** ((output · inputs + input) · box height + dy − top) · box width + dx − left, ascending. */
  readonly positions: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

/** How a step uses one: of its weights those from `inputs` to the channels of the step's rows. */
export interface SharedUse {
  readonly tensor: number;
  /** Ascending, and the plane that each is here. */
  readonly inputs: readonly number[];
  readonly planes: readonly number[];
}

/** Writes the places of its weights, and their values to `weights`; null where every use has values of its own. */
export function encodeTensor(structure: StructureWriter, weights: number[] | null, tensor: SharedTensor): void {
  structure.natural("step", tensor.outputs);
  structure.natural("step", tensor.inputs);
  encodeBox(structure, tensor.box);
  structure.ascending("gap", tensor.positions);
  if (weights) for (const value of Array.from(tensor.values)) weights.push(value);
}

/** One that is being read, with what its latest use had. */
export interface UsedTensor extends SharedTensor {
  readonly use: ChannelUse;
}

export function decodeTensor(source: ModelSource): UsedTensor {
  const { structure } = source;
  source.take(256);
  const outputs = structure.positive("step", "outputs of a tensor", limits.planes);
  const inputs = structure.positive("step", "inputs of a tensor", limits.planes);
  const box = decodeBox(structure);
  const size = outputs * inputs * box.height * box.width;
  let positions = new Float64Array(0);
  let values = new Float32Array(0);
  structure.naturals("gap", "weights", Math.min(source.weightsLeft, size), size, (count) => {
    source.take(12 * count);
    positions = new Float64Array(count);
    values = new Float32Array(count);
    let [i, last] = [0, 0];
    return (step) => {
      last += step;
      if (last >= size) throw source.fail(`weights within ${outputs} × ${inputs} channels`, "one beyond");
      positions[i] = last;
      i++;
    };
  });
  if (source.values !== "int8") for (let k = 0; k < values.length; k++) values[k] = source.weight();
  const tensor = { outputs, inputs, box, positions, values };
  source.take(64 * positions.length); // for the sets of channels
  return { ...tensor, use: unused(tensor) };
}

type AnyConvolution = Convolution | Int8Convolution;

/** The shared weights of a graph, each once, and the steps that can be written as uses of them. */
export function codeShared(graph: Graph | Int8Graph): { tensors: SharedTensor[]; uses: Map<unknown, SharedUse> } {
  const channels = new Map<number, number>();
  for (const step of graph.steps) for (const { plane, channel } of step.rows) channels.set(plane, channel);
  for (let plane = 0; plane < graph.image.shape[0]; plane++) channels.set(plane, plane);
  const groups = new Map<number, AnyConvolution[]>();
  for (const step of graph.steps)
    if (step.op === "convolution" && step.tensor !== null)
      groups.set(step.tensor, [...(groups.get(step.tensor) ?? []), step]);
  const tensors: SharedTensor[] = [];
  const uses = new Map<unknown, SharedUse>();
  for (const group of groups.values()) {
    const tensor = join(group, channels);
    const found = tensor && group.map((step) => useOf(step, tensor, tensors.length, channels));
    if (!tensor || !found?.every((use) => use !== null)) continue; // written out at each use
    tensors.push(tensor);
    for (const [i, step] of group.entries()) uses.set(step, found[i] as SharedUse);
  }
  return { tensors, uses };
}

/** A step's own weights at the places of a tensor that it uses, in their order; 0 where it has none. */
export function weightsOf(step: AnyConvolution, { inputs, planes }: SharedUse, tensor: SharedTensor): number[] {
  const planeOf = new Map(inputs.map((channel, i) => [channel, planes[i]]));
  const rowOf = new Map(step.rows.map((row) => [row.channel, row]));
  const taps = tensor.box.height * tensor.box.width;
  return Array.from(tensor.positions).flatMap((position) => {
    const pair = Math.floor(position / taps);
    const row = rowOf.get(Math.floor(pair / tensor.inputs));
    const plane = planeOf.get(pair % tensor.inputs);
    if (!row || plane === undefined) return [];
    const tap = position % taps;
    for (let k = row.first; k < row.end; k++)
      if (
        step.inputs[k] === plane &&
        (step.dy[k] - tensor.box.top) * tensor.box.width + step.dx[k] - tensor.box.left === tap
      )
        return [step.weights[k]];
    return [0];
  });
}

type Channels = ReadonlyMap<number, number>;

/** Every weight that one of the steps has; null without any, or if two steps disagree. */
function join(group: readonly AnyConvolution[], channels: Channels): SharedTensor | null {
  const box = tapBox(...group);
  if (box.height < 1) return null;
  let [outputs, inputs] = [0, 0];
  for (const step of group)
    for (const row of step.rows) {
      outputs = Math.max(outputs, row.channel + 1);
      for (let k = row.first; k < row.end; k++) inputs = Math.max(inputs, (channels.get(step.inputs[k]) as number) + 1);
    }
  const values = new Map<number, number>();
  for (const step of group)
    for (const [position, weight] of positioned(step, { inputs, box }, channels)) {
      if (step.weights instanceof Float32Array && (values.get(position) ?? weight) !== weight) return null;
      values.set(position, weight);
    }
  const positions = [...values.keys()].sort((a, b) => a - b);
  return { outputs, inputs, box, positions, values: positions.map((position) => values.get(position) as number) };
}

function* positioned(
  { rows, inputs: planes, dy, dx, weights }: AnyConvolution,
  { inputs, box }: Pick<SharedTensor, "inputs" | "box">,
  channels: Channels,
): Generator<[position: number, weight: number]> {
  for (const row of rows)
    for (let k = row.first; k < row.end; k++) {
      const pair = row.channel * inputs + (channels.get(planes[k]) as number);
      const tap = (dy[k] - box.top) * box.width + dx[k] - box.left;
      yield [pair * box.height * box.width + tap, weights[k]];
    }
}

/** The step as a use of the tensor; null if it lacks one of the weights between its channels, and cannot say that it is 0. */
function useOf(step: AnyConvolution, tensor: SharedTensor, number: number, channels: Channels): SharedUse | null {
  const planes = new Map<number, number>();
  for (const { first, end } of step.rows)
    for (let k = first; k < end; k++) {
      const channel = channels.get(step.inputs[k]) as number;
      if ((planes.get(channel) ?? step.inputs[k]) !== step.inputs[k]) return null;
      planes.set(channel, step.inputs[k]);
    }
  const own = new Set([...positioned(step, tensor, channels)].map(([position]) => position));
  const outputs = new Set(step.rows.map(({ channel }) => channel));
  const ascending = step.rows.every(({ channel }, i) => i === 0 || channel > step.rows[i - 1].channel);
  const taps = tensor.box.height * tensor.box.width;
  const covered = Array.from(tensor.positions).filter((position) => {
    const pair = Math.floor(position / taps);
    return outputs.has(Math.floor(pair / tensor.inputs)) && planes.has(pair % tensor.inputs);
  });
  const complete = covered.length === own.size || step.weights instanceof Int8Array;
  if (!ascending || !complete) return null;
  const inputs = [...planes.keys()].sort((a, b) => a - b);
  return { tensor: number, inputs, planes: inputs.map((channel) => planes.get(channel) as number) };
}
