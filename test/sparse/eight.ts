import { Module, Parameter } from "../../src/nn/index.js";
import { SGD } from "../../src/optim/index.js";
import { type SparseMethod, SparseTraining } from "../../src/sparse/index.js";
import { type Tensor, Topology } from "../../src/tensor/index.js";
import type { TrainContext, TrainEvent } from "../../src/train/index.js";

/** A sparse weight `[2, 4]` with momentum: `at` are its flat indices, in order with values and velocities. */
export interface Eight {
  readonly at: readonly number[];
  readonly values: readonly number[];
  readonly velocity: readonly number[];
}

export function eightWeights({ at, values, velocity }: Eight): { parameter: Parameter; optimizer: SGD } {
  const parameter = new Parameter([2, 4], () => new Float32Array(8), true);
  parameter.name = "w";
  parameter.replace(new Topology([2, 4], Int32Array.from(at)), Float32Array.from(values));
  const optimizer = new SGD();
  optimizer.load([parameter], new Map([["velocity/w", velocity]]));
  return { parameter, optimizer };
}

/** Gives the weight a dense gradient, as a backward pass would that wants one. */
export function setDenseGradient(parameter: Parameter, gradient: readonly number[]): void {
  parameter.denseGradient.clear();
  const { tensor } = parameter.denseGradient.into(parameter.shape, parameter.leaf);
  tensor.write(gradient);
}

/** The weight as it stands; values as the shortest decimals that are the same float32. */
export function stateOf({ parameter, optimizer }: { parameter: Parameter; optimizer: SGD }): Eight {
  const numbers = (tensor: Tensor | undefined) =>
    Array.from(tensor?.dataSync() ?? [], (value) => Number(Number(value).toPrecision(7)));
  return {
    at: [...(parameter.sparse as { topology: Topology }).topology.indices],
    values: numbers(parameter.leaf),
    velocity: numbers(optimizer.state().get("velocity/w")),
  };
}

/** Weights of a network that is never run. */
export class Weights extends Module {
  constructor(readonly w: readonly Parameter[]) {
    super();
  }
  override namedParameters(): Map<string, Parameter> {
    return new Map(this.w.map((parameter) => [parameter.name, parameter]));
  }
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** A sparse weight `[2, 2]` or `[2, 4]` … with these values at these places. */
export function sparseWeight(
  name: string,
  shape: readonly number[],
  entries: Readonly<Record<number, number>>,
): Parameter {
  const at = Object.keys(entries).map(Number);
  const dense = (positions: number | Int32Array) =>
    Float32Array.from(
      typeof positions === "number" ? Array.from({ length: positions }, (_, i) => i) : positions,
      (i) => entries[i] ?? 0,
    );
  const parameter = new Parameter(shape, dense, true);
  parameter.name = name;
  parameter.replace(new Topology(shape, Int32Array.from(at)), dense(Int32Array.from(at)));
  return parameter;
}

/** Places and values of a sparse weight. */
export function entriesOf({ sparse, leaf }: Parameter): Record<number, number> {
  const indices = (sparse as { topology: Topology }).topology.indices;
  return Object.fromEntries(Array.from(leaf.dataSync(), (value, k) => [indices[k], Number(value.toPrecision(6))]));
}

/** Follows a method over weights that exist already; `gradients` are dense, one per weight, handed out where wanted. */
export class Follower {
  readonly events: TrainEvent[] = [];
  readonly optimizer = new SGD();
  readonly #training: SparseTraining;
  readonly #context: TrainContext;

  constructor(
    method: SparseMethod,
    readonly weights: readonly Parameter[],
    density: number,
  ) {
    const model = new Weights(weights);
    const fullSize = weights.reduce((total, { size }) => total + size, 0);
    this.#training = new SparseTraining(
      { ...method, initialize: () => [] },
      { seed: 1, density, fullSize, liveChannels: false },
    );
    const { events, optimizer } = this;
    this.#context = {
      model,
      optimizer,
      parameters: () => [...weights],
      steps: 100,
      stepsPerEpoch: 100,
      imageShape: [1, 1, 1],
      loader: null,
      resuming: false,
      learningRate: 0.1,
      emit: (event) => void events.push(event),
    };
  }

  /** One step; `train` stands for the optimizer. */
  async step(
    step: number,
    gradients: readonly (readonly number[])[] = [],
    train: () => void = () => {},
  ): Promise<void> {
    this.#training.onStepStart(this.#context, step);
    for (const [i, parameter] of this.weights.entries())
      if (parameter.denseGradient.wanted) setDenseGradient(parameter, gradients[i]);
    train();
    await this.#training.onStepEnd(this.#context, step);
    for (const { denseGradient } of this.weights) denseGradient.clear();
  }

  state() {
    return this.#training.state();
  }
  get entries(): Record<number, number>[] {
    return this.weights.map(entriesOf);
  }
  dispose(): void {
    this.#training.onEnd();
    for (const weight of this.weights) weight.dispose();
    this.optimizer.dispose();
  }
}
