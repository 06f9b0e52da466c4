import { conv2d } from "../ops/index.js";
import type { Tensor } from "../tensor/index.js";
import { Initializer } from "./initialize.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

export interface Conv2dOptions {
  readonly kernel: number;
  readonly stride?: number;
  /** ⌊kernel / 2⌋ by default: the image keeps its size at stride 1. */
  readonly padding?: number;
  readonly init?: Initializer;
}

/** Convolution without bias of `[inputs, h, w, n]` to `[outputs, h', w', n]`; weight `[outputs, inputs, kernel, kernel]`. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly stride: number;
  readonly padding: number;
  #needed: Tensor | null = null;

  constructor(inputs: number, outputs: number, options: Conv2dOptions) {
    super();
    const { kernel, stride = 1, padding = Math.floor(kernel / 2), init = new Initializer() } = options;
    this.weight = new Parameter([outputs, inputs, kernel, kernel], init.fanIn(inputs * kernel * kernel), true);
    this.stride = stride;
    this.padding = padding;
  }
  /** Outputs to compute, `[outputs]` (i32, see `conv2d`); null for all. Used with a sparse weight. */
  get needed(): Tensor | null {
    return this.#needed;
  }
  set needed(needed: Tensor | null) {
    this.#needed = needed;
  }
  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.value, this);
  }
}
