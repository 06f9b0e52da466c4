import type { Parameter } from "../nn/index.js";
import type { Tensor } from "../tensor/index.js";
import { Optimizer, type StepContext } from "./optimizer.js";

export interface AdamOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Coupled: added to the gradient. 0 by default. */
  readonly weightDecay?: number;
}

/** Adam (Kingma and Ba, 2015) with bias correction, as in PyTorch. */
export class Adam extends Optimizer {
  protected readonly slots = ["first", "second"];

  constructor(private readonly options: AdamOptions = {}) {
    super();
  }
  protected update(parameter: Parameter, [first, second]: readonly Tensor[], context: StepContext): void {
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = this.options;
    const { leaf } = parameter;
    // biome-ignore format: the kernel's argument order
    leaf.kernels.adam_step(leaf.buffer, (leaf.gradient as Tensor).buffer, first.buffer, second.buffer, context.gradientScale?.buffer ?? null,
      context.learningRate, beta1, beta2, epsilon, weightDecay, context.step);
  }
}
