import { linear } from "../ops/index.js";
import type { Tensor } from "../tensor/index.js";
import { Initializer } from "./initialize.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

export interface LinearOptions {
  readonly bias?: boolean;
  /** False for layers that sparse methods leave alone. */
  readonly prunable?: boolean;
  readonly init?: Initializer;
}

/** weight · x + bias: `[inputs, n]` to `[outputs, n]`; weight `[outputs, inputs]`. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(inputs: number, outputs: number, options: LinearOptions = {}) {
    super();
    const { bias = true, prunable = true, init = new Initializer() } = options;
    this.weight = new Parameter([outputs, inputs], init.fanIn(inputs), prunable);
    this.bias = bias ? new Parameter([outputs], init.fanIn(inputs)) : null;
  }
  forward(x: Tensor): Tensor {
    return linear(x, this.weight.value, this.bias?.leaf ?? null);
  }
}
