import type { Kernels } from "../native.js";
import { Optimizer } from "./optimizer.js";

export interface SgdOptions {
  /** 0.9 by default. */
  readonly momentum?: number;
  /** True by default. */
  readonly nesterov?: boolean;
  /** Coupled: added to the gradient of every parameter, BatchNorm's too. 1e-4 by default. */
  readonly weightDecay?: number;
}

/** Stochastic gradient descent as in PyTorch: g ← g + λw, v ← μv + g, w ← w − η(g + μv) with Nesterov, − ηv without. */
export class SGD extends Optimizer {
  protected readonly slots = ["velocity"];

  constructor(private readonly options: SgdOptions = {}) {
    super();
  }
  protected run(kernels: Kernels, tensors: readonly number[], gradientScale: number | null, schedule: number): void {
    const { momentum = 0.9, nesterov = true, weightDecay = 1e-4 } = this.options;
    kernels.sgd_step(tensors, gradientScale, schedule, momentum, weightDecay, nesterov);
  }
}
