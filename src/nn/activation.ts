import { dyrelu, globalAveragePool, relu } from "../ops/index.js";
import type { Tensor } from "../tensor/index.js";
import { Initializer } from "./initialize.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";

/** Makes the activation behind a layer of `channels`. */
export type ActivationFactory = (channels: number) => Module;

/** A module behind whose back nothing is fused while someone looks at what it is given. */
export interface Activation extends Module {
  /** Called with the input of every forward pass, which is `[c, h, w, n]`. */
  onInput: ((x: Tensor) => void) | null;
}

export class ReLU extends Module implements Activation {
  onInput: Activation["onInput"] = null;

  forward(x: Tensor): Tensor {
    this.onInput?.(x);
    return relu(x);
  }
}

/** How dynamic the DyReLUs of a network are; one object shared by all of them. */
export interface DyReluPhase {
  /** 1: fully dynamic; 0: plain ReLU. */
  beta: number;
  blend: "coefficients" | "outputs";
  /** β `[1]` (f64) in memory, where steps read it while β > 0; each makes its own where it is left out. */
  current?: Tensor;
}

export interface DyReLUOptions {
  readonly phase: DyReluPhase;
  /** Width of the hidden layer is ⌊channels / reduction⌋; 4 by default. */
  readonly reduction?: number;
  readonly init?: Initializer;
}

/**
 * DyReLU-B with a phase-out: coefficients per channel and image from the pooled input through two linear layers with
 * bias, which are trained, never pruned, and dropped when the phase has ended.
 */
export class DyReLU extends Module implements Activation {
  onInput: Activation["onInput"] = null;
  squeeze: Linear | null;
  excite: Linear | null;
  readonly #phase: DyReluPhase;

  constructor(channels: number, options: DyReLUOptions) {
    super();
    const { phase, reduction = 4, init = new Initializer() } = options;
    const hidden = Math.max(1, Math.floor(channels / reduction));
    this.#phase = phase;
    this.squeeze = new Linear(channels, hidden, { prunable: false, init });
    this.excite = new Linear(hidden, 4 * channels, { prunable: false, init });
  }
  forward(x: Tensor): Tensor {
    this.onInput?.(x);
    const { beta, blend, current = beta } = this.#phase;
    if (beta <= 0 || !this.squeeze || !this.excite) return relu(x);
    const u = this.excite.forward(relu(this.squeeze.forward(globalAveragePool(x))));
    return dyrelu(x, u, { beta: current, blend });
  }

  /** Frees the two linear layers: from now on a plain ReLU. */
  retire(): void {
    this.squeeze?.dispose();
    this.excite?.dispose();
    this.squeeze = null;
    this.excite = null;
  }
}
