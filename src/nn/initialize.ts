import { uniform } from "../tensor/index.js";
import type { Initial } from "./parameter.js";

/**
 * Hands each new parameter its own sequence of random numbers. Layers made in the same order from the same seed get the
 * same weights; `branch` separates families, so that adding DyReLU does not change the convolutions.
 */
export class Initializer {
  #stream = 0;

  constructor(
    readonly seed = 0,
    private readonly branch = 0,
  ) {}

  /** Uniform in ±1/√fanIn: PyTorch's default for convolutions and linear layers, weights and biases. */
  fanIn(fanIn: number): Initial {
    const bound = 1 / Math.sqrt(fanIn);
    return this.uniform(-bound, bound);
  }

  uniform(low: number, high: number): Initial {
    const key = { seed: this.seed, purpose: "weight", stream: this.#stream++, step: this.branch } as const;
    return (at) => uniform(key, at, low, high);
  }
}

export const constant =
  (value: number): Initial =>
  (at) =>
    new Float32Array(typeof at === "number" ? at : at.length).fill(value);
