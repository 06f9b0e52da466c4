import { Parameter } from "../../src/nn/index.js";
import { SGD } from "../../src/optim/index.js";
import { type Tensor, Topology } from "../../src/tensor/index.js";

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
