import { BatchNorm2d, DyReLU, type Module, type Parameter } from "../nn/index.js";
import type { SparseConv } from "../ops/index.js";
import { scope, sizeOf, type TapeNode, Tensor, type Topology, tape } from "../tensor/index.js";
import { liveness } from "./liveness.js";

type ConvShape = SparseConv["shape"];

/** One use of a weight in a forward pass. */
export interface LayerSummary {
  /** Path of the module. */
  readonly name: string;
  /** `[o, i, kh, kw]` or `[o, i]`. */
  readonly shape: readonly number[];
  /** Height and width of the output. */
  readonly output: readonly [number, number];
  /** Name of the parameter used, where it belongs to another layer. */
  readonly sharedFrom: string | null;
  /** Entries of the dense shape, those that exist, and those of them on a path from image to logit. */
  readonly weights: number;
  readonly nnz: number;
  readonly live: number;
  /** Multiply-accumulates per image if every weight existed, and as it is. */
  readonly denseMacs: number;
  readonly macs: number;
  /** Of values and indices (4 bytes each; indices only of sparse weights); 0 for a weight counted at another layer. */
  readonly bytes: number;
}

/** What a network holds and what one image costs. Counts are of weights, MACs or bytes. */
export interface NetworkSummary {
  /** Convolutions and linear layers, in the order of the forward pass. */
  readonly layers: readonly LayerSummary[];
  /** Prunable weights of the dense network, a shared one counted at each use: what sparsity refers to. */
  readonly prunable: number;
  /** Prunable weights that are stored if dense: without repeated uses. */
  readonly owned: number;
  /** Prunable weights that exist. */
  readonly nnz: number;
  /** nnz / prunable. */
  readonly density: number;
  readonly live: number;
  /** Logits that depend on the image. */
  readonly liveLogits: number;
  readonly batchNormParameters: number;
  readonly dyreluParameters: number;
  /** Biases and scales. */
  readonly otherParameters: number;
  readonly denseMacs: number;
  readonly macs: number;
  /** Of DyReLU's own layers; they are gone when training ends and not part of `macs`. */
  readonly dyreluMacs: number;
  /** Of DCTpS's fast transforms, h'·w'·q·log₂ q / 2 each with q = max(c·k², o), as published; not part of `macs`. */
  readonly transformMacs: number;
  /** Of `nnz` prunable weights, and if all of them existed. */
  readonly bytes: number;
  readonly denseBytes: number;
}

/**
 * Counts by the convention of sparse training papers: a convolution costs nnz · h' · w' MACs, a linear layer nnz, every
 * use of a shared weight counts, BatchNorm and activations do not. Runs `model` on one blank image `[c, h, w]`.
 */
export function summarize(model: Module, [c, h, w]: readonly [number, number, number]): NetworkSummary {
  const { training } = model;
  model.eval();
  try {
    return scope(() => {
      const image = Tensor.zeros([c, h, w, 1], { requiresGradient: true });
      return count(model, model.forward(image), image);
    });
  } finally {
    model.train(training);
  }
}

function count(model: Module, logits: Tensor, image: Tensor): NetworkSummary {
  const { layers: alive, liveLogits } = liveness(logits, image);
  const parameters = new Map(model.parameters().map((parameter) => [parameter.leaf, parameter]));
  const seen = new Set<Parameter>();
  const nodes = tape(logits).reverse();
  const uses = nodes
    .filter((node) => node.name === "sparseConv" || node.name === "denseConv")
    .flatMap((node) => {
      const used = leaves(node.inputs[1] as Tensor).flatMap((leaf) => parameters.get(leaf) ?? []);
      const weight = used.find(({ shape }) => shape.length > 1);
      if (!weight) return []; // a convolution by numbers that are no weight of this network
      const first = !seen.has(weight);
      seen.add(weight);
      return [{ weight, layer: layer(node, weight, used, first, alive) }];
    });
  const layers = uses.filter(({ weight }) => weight.prunable).map(({ layer }) => layer);
  const owned = model.parameters().filter(({ prunable }) => prunable);
  const total = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);
  const of = (kind: typeof BatchNorm2d | typeof DyReLU) => {
    const modules = [...model.modules().values()].filter((module) => module instanceof kind);
    return total(modules.flatMap((module) => module.parameters().map(({ size }) => size)));
  };
  const prunable = total(layers.map(({ weights }) => weights));
  const stored = total(owned.map(({ size }) => size));
  const nnz = total(owned.map((parameter) => parameter.nnz));
  const [batchNormParameters, dyreluParameters] = [of(BatchNorm2d), of(DyReLU)];
  const all = total(model.parameters().map(({ size }) => size));
  return {
    layers,
    prunable,
    owned: stored,
    nnz,
    density: nnz / prunable,
    live: total(layers.map(({ live, sharedFrom }) => (sharedFrom ? 0 : live))),
    liveLogits,
    batchNormParameters,
    dyreluParameters,
    otherParameters: all - stored - batchNormParameters - dyreluParameters,
    denseMacs: total(layers.map(({ denseMacs }) => denseMacs)),
    macs: total(layers.map(({ macs }) => macs)),
    dyreluMacs: total(uses.filter(({ weight }) => !weight.prunable).map(({ layer }) => layer.macs)),
    transformMacs: total(nodes.filter(({ name }) => name === "dctConv").map(transformMacs)),
    bytes: total(layers.map(({ bytes }) => bytes)),
    denseBytes: 4 * prunable,
  };
}

function layer(
  node: TapeNode,
  weight: Parameter,
  used: readonly Parameter[],
  first: boolean,
  alive: ReadonlyMap<Topology, { readonly live: number }>,
): LayerSummary {
  const shape = node.name === "sparseConv" ? (node.attributes as SparseConv).shape : (node.attributes as ConvShape);
  const [, height, width] = node.output.shape;
  const weights = sizeOf(weight.shape);
  const { nnz, sparse } = weight;
  // A layer that scales a weight of another layer is named by its scale.
  const owner = first ? weight : (used.find((parameter) => parameter !== weight) ?? weight);
  return {
    name: owner.name.replace(/\.[^.]*$/, ""),
    shape: weight.shape,
    output: [height, width],
    sharedFrom: first ? null : weight.name,
    weights,
    nnz,
    live: sparse ? (alive.get(sparse.topology)?.live ?? 0) : nnz,
    denseMacs: shape[0] * shape[4] * shape[5] * shape[6] * height * width,
    macs: nnz * height * width,
    bytes: first ? nnz * (sparse ? 8 : 4) : 0,
  };
}

function transformMacs({ attributes, output }: TapeNode): number {
  const [c, , , , o, kh, kw] = attributes as ConvShape;
  const length = Math.max(c * kh * kw, o);
  return (output.shape[1] * output.shape[2] * length * Math.log2(length)) / 2;
}

/** The tensors that `tensor` was computed from, back to those that nothing computed. */
function leaves(tensor: Tensor): Tensor[] {
  return tensor.node ? tensor.node.inputs.flatMap((input) => (input ? leaves(input) : [])) : [tensor];
}
