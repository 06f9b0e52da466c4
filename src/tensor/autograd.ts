import { expected } from "../errors.js";
import { type Channels, emptyChannels, expand, type TapeNode, Tensor } from "./tensor.js";

export type Inputs = readonly (Tensor | null)[];

/** What an op's backward works with. */
export interface Backward<I extends Inputs, A, S> {
  readonly inputs: I;
  readonly attributes: A;
  readonly saved: S;
  readonly output: Tensor;
  /** Gradient of the output. This op is its last reader and may overwrite it. */
  readonly gradient: Tensor;
  needs(input: number): boolean;
  /** Where the gradient of an input belongs: replace the contents, or add to them when `accumulate` is set. */
  into(input: number): { tensor: Tensor; accumulate: boolean };
  /**
   * Takes over the backward of the op `name` that made an input, to run it in the same pass. Null unless that op made it
   * and this one is the last to add to the input's gradient, which is what `into(input)` gave.
   */
  claim(input: number, name: string): Context | null;
  /** Memory for the gradient of an input: the input's own, if nothing reads that afterwards, else new. For `give`. */
  over(input: number): Tensor;
  /** Hands over `tensor`, which nobody reads or writes afterwards, as (part of) the gradient of an input. */
  give(input: number, tensor: Tensor): void;
}

type Context = Backward<Inputs, unknown, unknown>;

/** An op: forward and backward together. */
export interface OpRecord<I extends Inputs, A, S> {
  /** Set by ops that read and write compact activations and gradients; others see complete ones only. */
  readonly compact?: true;
  forward(inputs: I, attributes: A): { output: Tensor; saved: S };
  backward(context: Backward<I, A, S>): void;
}

let recording = true;
let order = 0;
const names = new Set<string>();

/** Every op defined so far; the case table of the tests must have a row for each. */
export function opNames(): readonly string[] {
  return [...names];
}

/** Makes an op from its record: a function of inputs and attributes whose result remembers how it was made. */
export function defineOp<I extends Inputs, A, S>(
  name: string,
  record: OpRecord<I, A, S>,
): (inputs: I, attributes: A) => Tensor {
  names.add(name);
  return (given, attributes) => {
    for (const input of given) input?.materialize();
    const inputs = record.compact ? given : (given.map((input) => input && complete(input)) as unknown as I);
    const { output, saved } = record.forward(inputs, attributes);
    if (recording && inputs.some((input) => input?.requiresGradient)) {
      output.requiresGradient = true;
      const { compact = false } = record;
      const run = record.backward as (context: unknown) => void;
      output.node = { name, order: order++, inputs, attributes, saved, output, compact, backward: run };
    }
    return output;
  };
}

const expandOp = defineOp<[Tensor], null, null>("expand", {
  compact: true,
  forward([x]) {
    return { output: expand(x), saved: null };
  },
  backward({ inputs: [x], gradient, into }) {
    const { tensor, accumulate } = into(0);
    const { kind, value } = tensor.channels as Channels;
    const from = (x.channels as Channels).kind;
    // biome-ignore format: the kernel's argument order
    x.kernels.expand_backward(gradient.buffer, from.buffer, x.shape[0], tensor.buffer, kind.buffer, value.buffer, accumulate);
  },
});

/** The activation with all its planes there. */
function complete(x: Tensor): Tensor {
  return x.channels ? expandOp([x], null) : x;
}

/** Runs `f` without recording: results hold no history and need no gradient. */
export function noGradient<R>(f: () => R): R {
  const before = recording;
  recording = false;
  try {
    return f();
  } finally {
    recording = before;
  }
}

/** `f`, recorded or not as a call now would be: for work that is put off. */
export function recordedAsNow<A extends unknown[], R>(f: (...list: A) => R): (...list: A) => R {
  const then = recording;
  return (...list) => {
    const before = recording;
    recording = then;
    try {
      return f(...list);
    } finally {
      recording = before;
    }
  };
}

/** The nodes that `root` was computed by, latest first. */
export function tape(root: Tensor): TapeNode[] {
  root.materialize();
  const nodes = new Map<TapeNode, true>();
  const open = [root];
  for (let tensor = open.pop(); tensor; tensor = open.pop()) {
    if (!tensor.node || nodes.has(tensor.node)) continue;
    nodes.set(tensor.node, true);
    for (const input of tensor.node.inputs) if (input) open.push(input);
  }
  return [...nodes.keys()].sort((a, b) => b.order - a.order);
}

/**
 * Adds the derivative of the scalar `loss` to `.gradient` of every leaf that requires one. Gradients add up over calls;
 * clear them between steps. First order only. With `release` the tensors on the way from the leaves to the loss, but for
 * the loss itself and what is marked with `keep()`, are freed as soon as they have served, so that gradients take the
 * memory of activations.
 */
export function backward(loss: Tensor, { release = false }: { readonly release?: boolean } = {}): void {
  if (loss.size !== 1) throw expected("backward", "a loss of one element", `shape [${loss.shape.join(", ")}]`);
  loss.materialize();
  if (!loss.node)
    throw expected("backward", "a loss computed from tensors that require gradients", "one without history");
  const nodes = tape(loss);
  const gradients = new Map<Tensor, Tensor>([
    [loss, Tensor.full(loss.shape, 1, { dtype: loss.dtype, device: loss.device })],
  ]);
  /** How often ops that have yet to run backward read a tensor. */
  const readers = new Map<Tensor, number>();
  const count = (input: Tensor | null, change: number) => {
    if (input) readers.set(input, (readers.get(input) ?? 0) + change);
  };
  for (const { inputs } of nodes) for (const input of inputs) count(input, 1);
  const begun = new Set<TapeNode>();

  /** The context of a node's backward, null when no gradient arrived; `end` is called when that has run. */
  const begin = (node: TapeNode): { context: Context | null; end(): void } => {
    begun.add(node);
    const arrived = gradients.get(node.output) ?? null;
    gradients.delete(node.output);
    const claimed: { end(): void }[] = [];
    const at = (index: number) => node.inputs[index] as Tensor;
    const gradient = arrived?.channels && !node.compact ? expand(arrived) : arrived;
    let given = false;
    const existing = (input: Tensor) => (input.node ? gradients.get(input) : input.gradient) ?? null;
    const set = (input: Tensor, tensor: Tensor) => {
      if (input.node) gradients.set(input, tensor);
      else input.gradient = tensor.keep();
    };
    const context = gradient && {
      ...node,
      gradient,
      needs: (index: number) => node.inputs[index]?.requiresGradient ?? false,
      into: (index: number) => {
        const input = at(index);
        const before = existing(input);
        if (before?.channels && !node.compact) set(input, expand(before));
        if (before) return { tensor: existing(input) as Tensor, accumulate: true };
        const tensor = Tensor.empty(input.shape, { dtype: input.dtype, device: input.device });
        if (input.channels) tensor.channels = emptyChannels(input);
        set(input, tensor);
        return { tensor, accumulate: false };
      },
      claim: (index: number, name: string) => {
        const input = at(index);
        if (input.node?.name !== name || readers.get(input) !== 1) return null;
        const source = begin(input.node);
        claimed.push(source);
        return source.context;
      },
      over: (index: number) => {
        const input = at(index);
        const last = release && input.node && !input.kept && input.owned && readers.get(input) === 1;
        return last ? input.view(input.shape) : Tensor.empty(input.shape, { dtype: input.dtype, device: input.device });
      },
      give: (index: number, tensor: Tensor) => {
        const input = at(index);
        const before = existing(input);
        if (before) {
          if (before.channels || tensor.channels)
            throw expected("backward", "complete gradients to add up", "compact ones", undefined, "EASTING_INTERNAL");
          tensor.kernels.copy(tensor.buffer, before.buffer, true);
          if (tensor !== gradient) tensor.dispose();
          return;
        }
        if (tensor === gradient) given = true;
        const same = tensor.shape.length === input.shape.length;
        set(input, same ? tensor : tensor.view(input.shape));
      },
    };
    const end = () => {
      for (const source of claimed) source.end();
      if (!given) gradient?.dispose();
      for (const input of node.inputs) count(input, -1);
      if (release && node.output !== loss && !node.output.kept) node.output.dispose();
    };
    return { context, end };
  };

  noGradient(() => {
    for (const node of nodes) {
      if (begun.has(node)) continue;
      const { context, end } = begin(node);
      if (context) node.backward(context);
      end();
    }
  });
}
