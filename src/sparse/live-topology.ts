import { expected } from "../errors.js";
import type { Module, Parameter } from "../nn/index.js";
import { SparseTensor, sample, scope, type TapeNode, Tensor, Topology, tape, uniform } from "../tensor/index.js";
import type { SparseMethod, StartingNetwork } from "./method.js";
import { complement } from "./topology.js";

/**
 * The method, its first topology drawn so that every weight lies on a path from image to logit, at the counts it had. Not
 * in any paper: at 99.99 % a random topology often has no such path, and then no gradient anywhere.
 *
 * Channels that residual sums and activations join are one space. In every space as many random channels are chosen as the
 * smallest tensor at it can serve; each tensor first links all its chosen inputs and outputs, once each, then fills up
 * among them. Where chosen channels leave a tensor too few places the rest of it goes anywhere.
 */
export function ensureLive(method: SparseMethod): SparseMethod {
  if (!method.distribution)
    throw expected("ensureLive", "a method that begins at random", method.name, undefined, "EASTING_CONFIG");
  return {
    ...method,
    initialize: async (layers, density, seed, network) => {
      if (!network) throw expected("ensureLive", "the network", "none");
      const drawn = await method.initialize(layers, density, seed, network);
      const counts = drawn.map(({ nnz }) => nnz);
      return liveTopologies(layers as readonly Parameter[], counts, seed, network);
    },
  };
}

function liveTopologies(
  layers: readonly Parameter[],
  counts: readonly number[],
  seed: number,
  { model, imageShape }: StartingNetwork,
): Topology[] {
  const spaces = channelSpaces(model, layers, imageShape);
  const chosen = new Map<number, Int32Array>();
  for (const [id, width] of spaces.widths) {
    const touching = layers.flatMap((_, l) => (spaces.of[l].includes(id) ? counts[l] : []));
    const key = { seed, purpose: "topology", stream: layers.length + id } as const;
    chosen.set(id, sample(key, width, Math.min(width, ...touching)));
  }
  return layers.map(({ shape }, l) => {
    const [inputs, outputs] = spaces.of[l].map((id) => chosen.get(id) as Int32Array);
    return new Topology(shape, links(shape, inputs, outputs, counts[l], { seed, stream: l }));
  });
}

/** `count` positions between the chosen channels: first one for each of them, then at random. */
function links(
  shape: readonly number[],
  inputs: Int32Array,
  outputs: Int32Array,
  count: number,
  key: { readonly seed: number; readonly stream: number },
): Int32Array {
  const [rows, width, ...kernel] = shape;
  const taps = kernel.reduce((a, b) => a * b, 1);
  const most = Math.max(inputs.length, outputs.length);
  const draw = (step: number) => ({ ...key, purpose: "topology", step }) as const;
  const tap = uniform(draw(1), most, 0, taps);
  const [turn] = uniform(draw(2), 1, 0, most);
  // Ranks count the places among the chosen channels alone.
  const first = Int32Array.from({ length: most }, (_, k) => {
    const [o, i] = [k % outputs.length, (k + Math.floor(turn)) % inputs.length];
    return (o * inputs.length + i) * taps + Math.floor(tap[k]);
  }).sort();
  const among = inputs.length * outputs.length * taps;
  const missing = Math.min(count, among) - most;
  const ranks = [...first, ...complement(first, among, missing, (free) => sample(draw(3), free, missing))];
  const places = Int32Array.from(ranks, (rank) => {
    const row = Math.floor(rank / taps);
    const [o, i] = [outputs[Math.floor(row / inputs.length)], inputs[row % inputs.length]];
    return (o * width + i) * taps + (rank % taps);
  }).sort();
  const rest = count - places.length;
  const anywhere = complement(places, rows * width * taps, rest, (free) => sample(draw(4), free, rest));
  return Int32Array.from([...places, ...anywhere]).sort();
}

interface ChannelSpaces {
  /** Width of each space of channels, by its number. */
  readonly widths: ReadonlyMap<number, number>;
  /** Input and output space of every layer. */
  readonly of: readonly (readonly [number, number])[];
}

/** Reads off a forward pass which activations share their channels. A weight that is used twice joins the spaces of its uses. */
function channelSpaces(model: Module, layers: readonly Parameter[], [c, h, w]: readonly number[]): ChannelSpaces {
  const parent = new Map<Tensor, Tensor>();
  const find = (x: Tensor): Tensor => {
    const up = parent.get(x);
    return up ? find(up) : x;
  };
  const join = (a: Tensor, b: Tensor) => {
    const [from, to] = [find(a), find(b)];
    if (from !== to) parent.set(from, to);
  };
  const { training } = model;
  model.eval();
  try {
    return scope(() => {
      const values = new Map(layers.map((layer) => [oneWeight(layer), layer]));
      const image = Tensor.zeros([c, h, w, 1], { requiresGradient: true });
      const uses = new Map<Parameter, TapeNode[]>();
      for (const node of tape(model.forward(image)).reverse()) {
        const layer = weightOf(node, values);
        if (layer) uses.set(layer, [...(uses.get(layer) ?? []), node]);
        else if (!node.name.endsWith("Conv"))
          for (const input of node.inputs)
            if (input && input.shape.length > 1 && input.shape[0] === node.output.shape[0]) join(input, node.output);
      }
      for (const [first, ...others] of uses.values())
        for (const node of others) {
          join(node.inputs[0] as Tensor, first.inputs[0] as Tensor);
          join(node.output, first.output);
        }
      const numbers = new Map<Tensor, number>();
      const widths = new Map<number, number>();
      const numberOf = (x: Tensor) => {
        const root = find(x);
        if (!numbers.has(root)) {
          numbers.set(root, numbers.size);
          widths.set(numbers.size - 1, x.shape[0]);
        }
        return numbers.get(root) as number;
      };
      const of = layers.map((layer) => {
        const node = uses.get(layer)?.[0];
        if (!node) throw expected("ensureLive", `a network that uses ${layer.name}`, "one that does not");
        return [numberOf(node.inputs[0] as Tensor), numberOf(node.output)] as const;
      });
      return { widths, of };
    });
  } finally {
    for (const layer of layers) layer.substitute(null);
    model.train(training);
  }
}

/** Lets the layer compute with a single weight: no dense memory for a look at the network. */
function oneWeight(layer: Parameter): Tensor {
  const values = Tensor.full([1], 1, { requiresGradient: true });
  layer.substitute(new SparseTensor(new Topology(layer.shape, Int32Array.of(0)), values));
  return values;
}

/** The layer whose weight a convolution uses, itself or scaled. */
function weightOf(node: TapeNode, values: ReadonlyMap<Tensor, Parameter>): Parameter | undefined {
  if (node.name !== "sparseConv") return undefined;
  const weight = node.inputs[1] as Tensor;
  return [weight, ...(weight.node?.inputs ?? [])].flatMap((tensor) => (tensor && values.get(tensor)) || [])[0];
}
