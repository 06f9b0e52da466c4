import { add, cast, conv2d, dctConv2d, dctLinear, linear, scaleBy } from "../ops/index.js";
import { arithmetic, type Tensor } from "../tensor/index.js";
import type { Conv2dOptions } from "./conv.js";
import { constant } from "./initialize.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

/**
 * Convolution α·(F x) + S x of "dense for the price of sparse" (Price and Tanner, 2021): F is the fixed cosine transform of
 * the patches, α a trainable scale that begins at 1, S a sparse weight that begins at 0. `[inputs, h, w, n]` to
 * `[outputs, h', w', n]`.
 */
export class DctConv2d extends Module {
  readonly weight: Parameter;
  readonly alpha = new Parameter([1], constant(1));
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;

  constructor(inputs: number, outputs: number, options: Omit<Conv2dOptions, "init">) {
    super();
    const { kernel, stride = 1, padding = Math.floor(kernel / 2) } = options;
    this.weight = new Parameter([outputs, inputs, kernel, kernel], constant(0), true);
    this.kernel = kernel;
    this.stride = stride;
    this.padding = padding;
  }
  forward(x: Tensor): Tensor {
    x.materialize(); // read twice
    const { kernel, stride, padding, weight } = this;
    const options = { outputs: weight.shape[0], kernel, stride, padding };
    const fixed = scaleBy(dctConv2d(cast(x, arithmetic(x.dtype)), options), this.alpha.leaf);
    return add(cast(fixed, x.dtype), conv2d(x, weight.value, { stride, padding }));
  }
}

/** α·(F x) + S x + bias: `[inputs, n]` to `[outputs, n]`, as `DctConv2d`. */
export class DctLinear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly alpha = new Parameter([1], constant(1));

  constructor(inputs: number, outputs: number) {
    super();
    this.weight = new Parameter([outputs, inputs], constant(0), true);
    this.bias = new Parameter([outputs], constant(0));
  }
  forward(x: Tensor): Tensor {
    const { weight, bias } = this;
    return add(scaleBy(dctLinear(x, weight.shape[0]), this.alpha.leaf), linear(x, weight.value, bias.leaf));
  }
}
