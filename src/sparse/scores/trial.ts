import type { Module, Parameter } from "../../nn/index.js";
import { backward, SparseTensor, scope, Tensor, Topology } from "../../tensor/index.js";
import { at } from "./products.js";

/** A weight tensor under trial: values at ascending positions, or of the whole dense shape. */
export interface TrialWeight {
  readonly values: ArrayLike<number>;
  readonly indices: Int32Array | null;
}

export interface TrialOptions {
  readonly dtype: "f32" | "f64";
  /** Whether BatchNorm takes the statistics of the batch. */
  readonly training: boolean;
  /** Replace every other number of the network, statistics too, by its absolute value. */
  readonly absolute?: boolean;
  /** Return gradients of the dense shape, of missing weights too. */
  readonly missing?: boolean;
}

/** Up to this density a sparse convolution is the faster one at these batches. */
const SPARSE = 0.2;

/**
 * Derivative of `loss` by the weights under trial, in their order. The network computes in `dtype` with copies of all
 * its numbers, so weights, statistics and gradients of its own stay what they are. Memory is that of the dense network.
 */
export function trialGradients(
  model: Module,
  layers: readonly Parameter[],
  weights: readonly TrialWeight[],
  loss: (model: Module) => Tensor,
  options: TrialOptions,
): (Float32Array | Float64Array)[] {
  const { dtype, training, absolute = false, missing = false } = options;
  const before = model.training;
  const restore: (() => void)[] = [];
  const copy = (tensor: Tensor) => {
    const data = tensor.dataSync();
    return Tensor.from(absolute ? data.map(Math.abs as (x: number) => number) : data, tensor.shape, { dtype });
  };
  try {
    return scope(() => {
      for (const module of model.modules().values())
        for (const [name, value] of Object.entries(module))
          if (value instanceof Tensor) {
            const holder = module as unknown as Record<string, Tensor>;
            holder[name] = copy(value);
            restore.push(() => {
              holder[name] = value;
            });
          }
      const tried = weights.map((weight, i) => substitute(layers[i], weight, options));
      for (const parameter of model.parameters())
        if (!layers.includes(parameter)) parameter.substitute(copy(parameter.leaf));
      restore.push(() => {
        for (const parameter of model.parameters()) parameter.substitute(null);
      });
      model.train(training);
      backward(loss(model));
      return tried.map((value, i) => {
        const leaf = value instanceof SparseTensor ? value.values : value;
        const whole = value instanceof SparseTensor ? value.denseGradient.tensor : leaf.gradient;
        const gradient = (missing ? whole : leaf.gradient)?.dataSync() as Float64Array | undefined;
        leaf.gradient?.dispose();
        if (value instanceof SparseTensor) {
          value.denseGradient.clear();
          value.topology.dispose();
        }
        const { indices } = weights[i];
        if (!gradient) return new Float64Array(missing ? layers[i].size : weights[i].values.length);
        const among = !missing && !(value instanceof SparseTensor) ? indices : null;
        return among ? at(gradient, among) : gradient;
      });
    });
  } finally {
    for (const undo of restore.reverse()) undo();
    model.train(before);
  }
}

function substitute(parameter: Parameter, { values, indices }: TrialWeight, options: TrialOptions) {
  const { shape, size } = parameter;
  const { dtype, missing = false } = options;
  const tensorOptions = { dtype, requiresGradient: true };
  if (indices && indices.length <= SPARSE * size) {
    const sparse = new SparseTensor(new Topology(shape, indices), Tensor.from(values, [indices.length], tensorOptions));
    sparse.denseGradient.wanted = missing;
    parameter.substitute(sparse);
    return sparse;
  }
  const whole = indices ? new Float64Array(size) : values;
  if (indices) for (let k = 0; k < indices.length; k++) (whole as Float64Array)[indices[k]] = values[k];
  const dense = Tensor.from(whole, shape, tensorOptions);
  parameter.substitute(dense);
  return dense;
}
