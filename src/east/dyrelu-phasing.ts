import { type ActivationFactory, DyReLU, type DyReluPhase, Initializer } from "../nn/index.js";
import { Tensor } from "../tensor/index.js";
import type { Callback, TrainContext } from "../train/index.js";

type Trained = Pick<TrainContext, "model" | "optimizer">;

export interface DyReluPhasingOptions {
  /** Shares of the run where the phase-out starts and where ReLU is reached; 62.5/250 and 124/250 by default. */
  readonly start?: number;
  readonly end?: number;
  /** β mixes coefficients (default) or outputs. */
  readonly blend?: "coefficients" | "outputs";
  readonly reduction?: number;
  readonly seed?: number;
}

/**
 * DyReLU phasing (arXiv 2411.13545, section 3.1): every activation is a DyReLU-B at first, which β takes over to ReLU.
 * β moves once per 250th of the run, an epoch of the published schedule. At β = 0 the DyReLUs' parameters are freed.
 */
export class DyReluPhasing implements Callback {
  readonly name = "dyrelu";
  /** Hand this to the network's builder. */
  readonly activation: ActivationFactory;
  readonly #phase: DyReluPhase;
  readonly #options: Required<DyReluPhasingOptions>;
  #retired = false;

  constructor(options: DyReluPhasingOptions = {}) {
    this.#options = { start: 62.5 / 250, end: 124 / 250, blend: "coefficients", reduction: 4, seed: 0, ...options };
    const { blend, reduction, seed } = this.#options;
    this.#phase = { beta: 1, blend };
    // A branch of its own: the other weights are the same with and without phasing.
    const init = new Initializer(seed, 1);
    this.activation = (channels) => new DyReLU(channels, { phase: this.#phase, reduction, init });
  }

  /** β of step `step` (from 1) of `steps`: 1 until `start`, then linear to 0 at `end`. */
  beta(step: number, steps: number): number {
    const { start, end } = this.#options;
    const position = Math.ceil((250 * step) / steps) / 250;
    return Math.min(1, Math.max(0, 1 - (position - start) / (end - start)));
  }

  onStepStart(context: TrainContext, step: number): void {
    this.#set(this.beta(step, context.steps));
    if (this.#phase.beta === 0 && !this.#retired) this.#retire(context);
  }

  report(): Record<string, number> {
    return { beta: this.#phase.beta };
  }
  final(): boolean {
    return this.#retired;
  }
  state() {
    return { header: { beta: this.#phase.beta, retired: this.#retired } };
  }
  load(context: Trained, { beta, retired }: { beta?: unknown; retired?: unknown }): void {
    this.#set(beta as number);
    if (retired) this.#retire(context);
  }

  #set(beta: number): void {
    const phase = this.#phase;
    if (this.#retired || (phase.current && phase.beta === beta)) return;
    phase.beta = beta;
    phase.current ??= Tensor.empty([1], { dtype: "f64" }).keep();
    phase.current.write([beta]);
  }

  #retire({ model, optimizer }: Trained): void {
    for (const module of model.modules().values()) {
      if (!(module instanceof DyReLU)) continue;
      for (const parameter of module.parameters()) optimizer.forget(parameter);
      module.retire();
    }
    this.#phase.beta = 0;
    this.#phase.current?.dispose();
    this.#phase.current = undefined;
    this.#retired = true;
  }
}
