import type { Parameter } from "../nn/index.js";
import type { Tensor } from "../tensor/index.js";
import { Optimizer, type StepContext } from "./optimizer.js";

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
  protected update(parameter: Parameter, [velocity]: readonly Tensor[], context: StepContext): void {
    const { momentum = 0.9, nesterov = true, weightDecay = 1e-4 } = this.options;
    const { leaf } = parameter;
    // biome-ignore format: the kernel's argument order
    leaf.kernels.sgd_step(leaf.buffer, (leaf.gradient as Tensor).buffer, velocity.buffer, context.gradientScale?.buffer ?? null,
      context.learningRate, momentum, weightDecay, nesterov);
  }
}
