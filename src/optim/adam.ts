import type { Kernels } from "../native.js";
import { Optimizer } from "./optimizer.js";

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
  protected run(kernels: Kernels, tensors: readonly number[], gradientScale: number | null, schedule: number): void {
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = this.options;
    kernels.adam_step(tensors, gradientScale, schedule, beta1, beta2, epsilon, weightDecay);
  }
}
