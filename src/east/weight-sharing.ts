import { expected } from "../errors.js";
import type { ResNet } from "../models/index.js";
import { Conv2d, type Initial, Initializer, Module, Parameter } from "../nn/index.js";
import { conv2d, scaleBy } from "../ops/index.js";
import { SparseTensor, type Tensor } from "../tensor/index.js";

/** A convolution that owns no weight: it uses another's, times a learnable scale of its own. */
export class SharedConv2d extends Module {
  readonly scale: Parameter;
  readonly #source: Conv2d;
  #needed: Tensor | null = null;

  constructor(source: Conv2d, scale: Initial) {
    super();
    this.#source = source;
    this.scale = new Parameter([1], scale);
  }
  /** The convolution whose weight this one uses. */
  get source(): Conv2d {
    return this.#source;
  }
  get stride(): number {
    return this.#source.stride;
  }
  get padding(): number {
    return this.#source.padding;
  }
  /** Outputs of this use to compute, as in `Conv2d`. */
  get needed(): Tensor | null {
    return this.#needed;
  }
  set needed(needed: Tensor | null) {
    this.#needed = needed;
  }
  forward(x: Tensor): Tensor {
    const { weight } = this.#source;
    const scale = this.scale.leaf;
    const { value } = weight;
    if (!(value instanceof SparseTensor)) return conv2d(x, scaleBy(value, scale), this);
    const values = scaleBy(value.values, scale);
    return conv2d(x, new SparseTensor(value.topology, values, value.denseGradient, scale), this);
  }
}

export interface WeightSharingOptions {
  /** Blocks of each stage with weights of their own; later ones use the last of these. 2 by default. */
  readonly ratio?: number;
  readonly seed?: number;
}

/**
 * Weight sharing (arXiv 2411.13545, section 3.2): in every stage the blocks after the first `ratio` reuse the
 * convolutions of block `ratio`, each use with its own scale, drawn from (0, 1). BatchNorm and DyReLU stay their own.
 * Call it before the network's weights are used.
 */
export function shareWeights(model: ResNet, options: WeightSharingOptions = {}): void {
  const { ratio = 2, seed = 0 } = options;
  if (!Number.isInteger(ratio) || ratio < 2)
    throw expected("weight sharing", "at least 2 blocks per stage with weights of their own", ratio);
  const init = new Initializer(seed, 2);
  for (const blocks of model.stages) {
    const source = blocks[ratio - 1];
    for (const block of blocks.slice(ratio)) {
      for (const name of ["conv1", "conv2", "conv3"] as const) {
        if (!(name in block)) continue;
        const convs = block as unknown as Record<string, Module>;
        const shared = (source as unknown as Record<string, Module>)[name];
        if (shared instanceof Conv2d) convs[name] = new SharedConv2d(shared, init.uniform(0, 1));
      }
    }
  }
}

/** Prunable weights of a network, counting a shared one at each use: the count that sparsity refers to. */
export function fullSize(model: Module): number {
  const owned = model.parameters().reduce((total, { prunable, size }) => total + (prunable ? size : 0), 0);
  const shared = [...model.modules().values()].reduce(
    (total, module) => total + (module instanceof SharedConv2d ? module.source.weight.size : 0),
    0,
  );
  return owned + shared;
}
