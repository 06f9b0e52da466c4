import { globalAveragePool, maxPool } from "../ops/index.js";
import type { Tensor } from "../tensor/index.js";
import { Module } from "./module.js";

/** `[c, h, w, n]` → `[c, n]`. */
export class GlobalAveragePool extends Module {
  forward(x: Tensor): Tensor {
    return globalAveragePool(x);
  }
}

export class MaxPool extends Module {
  constructor(
    private readonly options: { readonly kernel: number; readonly stride?: number; readonly padding?: number },
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    return maxPool(x, this.options);
  }
}
