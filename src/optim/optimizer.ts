import { EastingError } from "../errors.js";
import type { Kernels } from "../native.js";
import type { Parameter } from "../nn/index.js";
import { Tensor } from "../tensor/index.js";

/**
 * Updates parameters from their gradients. State is one tensor per slot and parameter, in the order of the trained
 * values; it follows a change of topology through `remap`.
 */
export abstract class Optimizer {
  /** Names of the state tensors, such as "velocity". */
  protected abstract readonly slots: readonly string[];
  readonly #state = new Map<Parameter, Tensor[]>();

  /** Learning rate and step. */
  #schedule: Tensor | null = null;

  /** One step of all parameters: `tensors` holds weight, gradient and state of each, one after the other. */
  protected abstract run(
    kernels: Kernels,
    tensors: readonly number[],
    gradientScale: number | null,
    schedule: number,
  ): void;

  /** One step for every parameter that has a gradient. */
  step(parameters: readonly Parameter[], context: StepContext): void {
    this.prepare(parameters, context);
    this.update(parameters, context.gradientScale);
  }

  /** Puts into memory what changes from step to step, for `update` to read. `step` counts from 1. */
  prepare(parameters: readonly Parameter[], { learningRate, step }: Pick<StepContext, "learningRate" | "step">): void {
    if (parameters.length === 0) return;
    const { device } = parameters[0].leaf;
    this.#schedule ??= Tensor.empty([2], { dtype: "f64", device }).keep();
    this.#schedule.moveTo(device).write([learningRate, step]);
  }

  /** The step that was prepared, for every parameter that has a gradient; `gradientScale` [1] is a factor on all. */
  update(parameters: readonly Parameter[], gradientScale: Tensor | null): void {
    const trained = parameters.filter(({ leaf }) => leaf.gradient);
    if (trained.length === 0) return;
    const tensors = trained.flatMap((parameter) => {
      const { leaf } = parameter;
      return [leaf, leaf.gradient as Tensor, ...this.#slots(parameter)].map(({ buffer }) => buffer);
    });
    const schedule = (this.#schedule as Tensor).buffer;
    this.run(trained[0].leaf.kernels, tensors, gradientScale?.buffer ?? null, schedule);
  }

  /** Follows a new topology: value j comes from old position `from[j]`, or is new (state 0) where that is -1 (i32). */
  remap(parameter: Parameter, from: Tensor): void {
    const state = this.#state.get(parameter);
    if (!state) return;
    const moved = state.map((old) => {
      const tensor = Tensor.empty(from.shape, { dtype: old.dtype, device: old.device }).keep();
      old.kernels.gather(old.buffer, from.buffer, tensor.buffer);
      old.dispose();
      return tensor;
    });
    this.#state.set(parameter, moved);
  }

  /** Drops the state of a parameter that is no longer trained. */
  forget(parameter: Parameter): void {
    for (const tensor of this.#state.get(parameter) ?? []) tensor.dispose();
    this.#state.delete(parameter);
  }

  /** State tensors by `slot/parameter name`, for a checkpoint. */
  state(): Map<string, Tensor> {
    const entries = [...this.#state].flatMap(([parameter, tensors]) =>
      tensors.map((tensor, i) => [`${this.slots[i]}/${parameter.name}`, tensor] as const),
    );
    return new Map(entries);
  }

  /** Restores what `state` gave; parameters without an entry start without state. */
  load(parameters: readonly Parameter[], state: ReadonlyMap<string, ArrayLike<number>>): void {
    for (const parameter of parameters) {
      if (!state.has(`${this.slots[0]}/${parameter.name}`)) continue;
      for (const [i, tensor] of this.#slots(parameter).entries()) {
        const data = state.get(`${this.slots[i]}/${parameter.name}`);
        if (!data)
          throw new EastingError(
            "EASTING_CHECKPOINT",
            `optimizer: expected state ${this.slots[i]}/${parameter.name}, got none`,
          );
        tensor.write(data);
      }
    }
  }

  dispose(): void {
    for (const parameter of [...this.#state.keys()]) this.forget(parameter);
    this.#schedule?.dispose();
    this.#schedule = null;
  }

  #slots(parameter: Parameter): Tensor[] {
    let state = this.#state.get(parameter);
    if (!state) {
      const { shape, dtype, device } = parameter.leaf;
      state = this.slots.map(() => Tensor.zeros(shape, { dtype, device }).keep());
      this.#state.set(parameter, state);
    }
    for (const tensor of state) tensor.moveTo(parameter.leaf.device);
    return state;
  }
}

export interface StepContext {
  readonly learningRate: number;
  /** Which step this is, from 1. */
  readonly step: number;
  /** Factor `[1]` on all gradients (clipping), or null for 1. */
  readonly gradientScale: Tensor | null;
}
