import { Tensor } from "../tensor/index.js";
import type { Liveness } from "./liveness.js";

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
  readonly #plan = new Map<Site, { readonly needed: Tensor; readonly growing: Tensor }>();

  #from: Liveness | null = null;

  /** Takes the plan from what is live; none while an activation mixes all channels. */
  follow(liveness: Liveness): void {
    if (liveness === this.#from) return;
    this.dispose();
    this.#from = liveness;
    const { needed, mixed } = liveness;
    if (mixed) return;
    const tensor = (flags: Uint8Array) => Tensor.from(flags, [flags.length], { dtype: "i32" }).keep();
    for (const [site, flags] of needed)
      this.#plan.set(site as Site, { needed: tensor(flags), growing: tensor(flags.map((flag) => 1 + flag)) });
  }

  /** Takes the plan out of force and frees it. */
  dispose(): void {
    for (const [site, { needed, growing }] of this.#plan) {
      site.needed = null;
      needed.dispose();
      growing.dispose();
    }
    this.#plan.clear();
    this.#from = null;
  }

  /**
   * Puts the plan in force. A step that needs gradients of missing weights computes every channel that an image reaches,
   * as a new weight may read it, and every channel that a logit depends on, as a new weight may feed it; only what has no
   * gradient is left out.
   */
  apply(step: { readonly growing: boolean }): void {
    for (const [site, { needed, growing }] of this.#plan) site.needed = step.growing ? growing : needed;
  }
}
