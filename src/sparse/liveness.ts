import type { Module } from "../nn/index.js";
import type { SparseConv } from "../ops/index.js";
import { scope, type TapeNode, Tensor, type Topology, tape } from "../tensor/index.js";

/** What of a network can matter: its image-dependent paths to the logits. */
export interface Liveness {
  /** Existing sparse weights on a path from image to logit. */
  readonly liveWeights: number;
  /** Logits that depend on the image. */
  readonly liveLogits: number;
  /** Per sparse weight tensor, over all its uses. */
  readonly layers: ReadonlyMap<Topology, LayerLiveness>;
  /** Per use of a sparse weight (the layer that made it): which outputs a logit depends on. */
  readonly needed: ReadonlyMap<object, Uint8Array>;
  /** Whether an activation joins all channels of an image, so that all of them matter. */
  readonly mixed: boolean;
}

export interface LayerLiveness {
  /** Weights that exist, and those of them on a path from image to logit. */
  readonly nnz: number;
  readonly live: number;
  /** Output channels, and those of them on such a path. */
  readonly channels: number;
  readonly liveChannels: number;
}

type Channels = Uint8Array;

/**
 * Boolean reachability over channels, read off the tape of a forward pass: a channel is live if it depends on the image
 * and a logit depends on it. A weight shared by several uses is live if it is live in one. Exact for ReLU networks
 * except for values that happen to cancel.
 */
export function liveness(logits: Tensor, image: Tensor): Liveness {
  const nodes = tape(logits).reverse();
  const reached = new Map<Tensor, Channels>([[image, new Uint8Array(image.shape[0]).fill(1)]]);
  for (const node of nodes) reached.set(node.output, forward(node, reached));
  const needed = new Map<Tensor, Channels>([[logits, new Uint8Array(logits.shape[0]).fill(1)]]);
  const used = new Map<Topology, Uint8Array>();
  for (const node of nodes.toReversed()) backward(node, reached, needed, used);
  const outputs = new Map<Topology, Uint8Array>();
  for (const { name, attributes, output } of nodes) {
    if (name !== "sparseConv") continue;
    const { topology } = attributes as SparseConv;
    const live = outputs.get(topology) ?? new Uint8Array(topology.shape[0]);
    outputs.set(
      topology,
      live.map((flag, o) => flag | ((reached.get(output)?.[o] ?? 0) & (needed.get(output)?.[o] ?? 0))),
    );
  }
  const layers = new Map(
    [...outputs].map(([topology, channels]) => {
      const live = used.get(topology) ?? new Uint8Array(topology.nnz);
      const [{ nnz }, liveChannels] = [topology, count(channels)];
      return [topology, { nnz, live: count(live), channels: channels.length, liveChannels }] as const;
    }),
  );
  const liveWeights = [...layers.values()].reduce((total, { live }) => total + live, 0);
  const sites = nodes.flatMap((node) => {
    const site = node.name === "sparseConv" ? (node.attributes as SparseConv).site : null;
    return site ? [[site, needed.get(node.output) ?? new Uint8Array(node.output.shape[0])] as const] : [];
  });
  return {
    liveWeights,
    liveLogits: count(reached.get(logits) ?? new Uint8Array(0)),
    layers,
    needed: new Map(sites),
    mixed: nodes.some((node) => node.name === "dyrelu" || node.name === "dctConv"),
  };
}

const count = (flags: Uint8Array) => flags.reduce((total, flag) => total + flag, 0);

function connections({ topology }: SparseConv, visit: (o: number, i: number, k: number) => void): void {
  const [, inputs, ...taps] = topology.shape;
  const perInput = taps.reduce((a, b) => a * b, 1);
  topology.indices.forEach((index, k) => {
    const row = Math.floor(index / perInput);
    visit(Math.floor(row / inputs), row % inputs, k);
  });
}

/** Whether every output channel of an op depends on every input channel. */
const joins = ({ name }: TapeNode) => name === "denseConv" || name === "dctConv";

/** Activations among a node's inputs: what flows, as opposed to weights. */
function activations(node: TapeNode): Tensor[] {
  const positions = { batchNorm: [0, 3], add: [0, 1], multiply: [0, 1], dyrelu: [0, 1] }[node.name] ?? [0];
  return positions.flatMap((i) => node.inputs[i] ?? []);
}

function forward(node: TapeNode, reached: Map<Tensor, Channels>): Channels {
  const out = new Uint8Array(node.output.shape[0]);
  const inputs = activations(node).map((input) => reached.get(input) ?? new Uint8Array(input.shape[0]));
  if (node.name === "sparseConv") {
    connections(node.attributes as SparseConv, (o, i) => {
      out[o] |= inputs[0][i];
    });
    return out;
  }
  if (joins(node)) return out.fill(inputs[0].includes(1) ? 1 : 0);
  // Channel by channel; a side with k times as many channels (DyReLU's coefficients, a flattened image) in groups of k.
  for (const channels of inputs)
    spread(channels.length, out.length, (from, to) => {
      out[to] |= channels[from];
    });
  return out;
}

function backward(
  node: TapeNode,
  reached: Map<Tensor, Channels>,
  needed: Map<Tensor, Channels>,
  used: Map<Topology, Uint8Array>,
): void {
  const need = needed.get(node.output);
  if (!need) return;
  for (const input of activations(node)) {
    const mine = needed.get(input) ?? new Uint8Array(input.shape[0]);
    needed.set(input, mine);
    if (node.name === "sparseConv") {
      const attributes = node.attributes as SparseConv;
      const live = used.get(attributes.topology) ?? new Uint8Array(attributes.topology.nnz);
      used.set(attributes.topology, live);
      const from = reached.get(input);
      connections(attributes, (o, i, k) => {
        mine[i] |= need[o];
        live[k] |= need[o] & (from?.[i] ?? 0);
      });
    } else if (joins(node)) {
      if (need.includes(1)) mine.fill(1);
    } else
      spread(mine.length, need.length, (from, to) => {
        mine[from] |= need[to];
      });
  }
}

function spread(inputs: number, outputs: number, visit: (from: number, to: number) => void): void {
  const longer = Math.max(inputs, outputs);
  for (let k = 0; k < longer; k++) visit(Math.floor((k * inputs) / longer), Math.floor((k * outputs) / longer));
}

/** Fraction of existing weights, over all sparse tensors, that are live; null without any. */
export function liveFraction({ layers, liveWeights }: Liveness): number | null {
  const nnz = [...layers.values()].reduce((total, layer) => total + layer.nnz, 0);
  return nnz === 0 ? null : liveWeights / nnz;
}

/** Liveness of a network at its present topology and form, from a forward pass of one blank image. */
export function livenessOf(model: Module, [c, h, w]: readonly [number, number, number]): Liveness {
  const { training } = model;
  model.eval();
  try {
    return scope(() => {
      const image = Tensor.zeros([c, h, w, 1], { requiresGradient: true });
      return liveness(model.forward(image), image);
    });
  } finally {
    model.train(training);
  }
}
