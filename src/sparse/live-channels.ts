import type { Module } from "../nn/index.js";
import { Tensor } from "../tensor/index.js";
import { livenessOf } from "./liveness.js";

/** A layer that can leave out outputs nobody needs. */
interface Site {
  needed: Tensor | null;
}

/**
 * Keeps on every sparse convolution of a network which of its outputs a logit depends on, so that steps compute no
 * others (their running statistics stand still meanwhile). Channels that no image reaches are found by the kernels
 * themselves as they run. Exact: what is left out has no part in loss or gradients.
 */
export class LiveChannels {
  readonly #plan = new Map<Site, Tensor>();
  #applied = false;

  /** Works the plan out for the network's present topology and form; none while an activation mixes all channels. */
  update(model: Module, imageShape: readonly [number, number, number]): void {
    this.dispose();
    const { needed, mixed } = livenessOf(model, imageShape);
    if (mixed) return;
    for (const [site, flags] of needed) {
      const tensor = Tensor.from(flags, [flags.length], { dtype: "i32" }).keep();
      this.#plan.set(site as Site, tensor);
    }
  }

  /** Takes the plan out of force and frees it. */
  dispose(): void {
    this.apply(false);
    for (const tensor of this.#plan.values()) tensor.dispose();
    this.#plan.clear();
  }

  /** Puts the plan in force, or out of it for a step that needs gradients of missing weights. */
  apply(on: boolean): void {
    if (on === this.#applied) return;
    for (const [site, tensor] of this.#plan) site.needed = on ? tensor : null;
    this.#applied = on;
  }
}
