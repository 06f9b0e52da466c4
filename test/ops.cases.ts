import type { ConvShape } from "../src/native.js";
import {
  add,
  batchNorm,
  cast,
  conv2d,
  crossEntropy,
  dctConv2d,
  dyrelu,
  globalAveragePool,
  linear,
  maxPool,
  mean,
  multiply,
  relu,
  reshape,
  scale,
  scaleBy,
  sum,
} from "../src/ops/index.js";
import { SparseTensor, sizeOf, Tensor, Topology } from "../src/tensor/index.js";
import { hashAt, largest, rounded, signed, uniform } from "./numbers.js";
import * as plain from "./ops/reference.js";

/** One input of an op: values that f32 holds exactly. */
export interface Input {
  readonly shape: readonly number[];
  readonly data: Float64Array;
  /** False for inputs without derivative, such as labels. */
  readonly trained: boolean;
  readonly dtype?: "i32";
}

/** An op on inputs of one size. */
export interface Instance {
  readonly inputs: readonly Input[];
  run(inputs: readonly Tensor[]): Tensor;
  /** The same in plain loops over doubles. */
  reference(data: readonly Float64Array[]): Float64Array;
}

/** A row: an op, in words what is special here, and its small and large instance (large: several threads work on it). */
export interface OpCase {
  readonly op: string;
  readonly title: string;
  make(large: boolean): Instance;
}

let tensorNumber = 100;
const input = (shape: readonly number[], data = signed(tensorNumber++, sizeOf(shape)), trained = true): Input => ({
  shape,
  data: rounded(data),
  trained,
});
/** Random values at least `margin` from 0, where ReLU bends. */
const awayFromZero = (shape: readonly number[], margin = 0.05) =>
  input(
    shape,
    signed(tensorNumber++, sizeOf(shape)).map((v) => (v < 0 ? v - margin : v + margin)),
  );
/** Random values no two of which are closer than 0.01. */
const distinct = (shape: readonly number[]) => {
  const size = sizeOf(shape);
  const t = tensorNumber++;
  const order = Array.from({ length: size }, (_, i) => i).sort((a, b) => hashAt(t, a) - hashAt(t, b));
  return input(
    shape,
    Float64Array.from(order, (rank) => (rank - size / 2) / 64),
  );
};
const activations = (large: boolean, channels = large ? 5 : 2): number[] =>
  large ? [channels, 9, 11, 67] : [channels, 3, 2, 3];

function elementwise(
  op: string,
  title: string,
  run: (inputs: readonly Tensor[]) => Tensor,
  reference: (data: readonly Float64Array[]) => Float64Array,
  count = 1,
): OpCase {
  const make = (large: boolean) => ({
    inputs: Array.from({ length: count }, () => awayFromZero(activations(large))),
    run,
    reference,
  });
  return { op, title, make };
}

const elementwiseCases: OpCase[] = [
  elementwise(
    "add",
    "two tensors",
    ([a, b]) => add(a, b),
    ([a, b]) => a.map((v, i) => v + b[i]),
    2,
  ),
  elementwise(
    "add",
    "a tensor to itself",
    ([a]) => add(a, a),
    ([a]) => a.map((v) => 2 * v),
  ),
  elementwise(
    "multiply",
    "two tensors",
    ([a, b]) => multiply(a, b),
    ([a, b]) => a.map((v, i) => v * b[i]),
    2,
  ),
  elementwise(
    "multiply",
    "a tensor by itself",
    ([a]) => multiply(a, a),
    ([a]) => a.map((v) => v * v),
  ),
  elementwise(
    "scale",
    "by a number",
    ([x]) => scale(x, -1.75),
    ([x]) => x.map((v) => -1.75 * v),
  ),
  elementwise(
    "relu",
    "of both signs",
    ([x]) => relu(x),
    ([x]) => plain.rectify(x),
  ),
  elementwise(
    "sum",
    "of all elements",
    ([x]) => sum(x),
    ([x]) => Float64Array.of(x.reduce((a, b) => a + b, 0)),
  ),
  elementwise(
    "sum",
    "as a mean",
    ([x]) => mean(x),
    ([x]) => Float64Array.of(x.reduce((a, b) => a + b, 0) / x.length),
  ),
  elementwise(
    "reshape",
    "to one row",
    ([x]) => reshape(x, [1, x.size]),
    ([x]) => x.slice(),
  ),
  elementwise(
    "cast",
    "to f32, which f32 has already, or to f32 from bf16",
    ([x]) => (x.dtype === "f64" ? scale(x, 1) : cast(x, "f32")),
    ([x]) => x.slice(),
  ),
  {
    op: "scaleBy",
    title: "a trained factor",
    make: (large) => ({
      inputs: [input(activations(large)), input([1], Float64Array.of(0.375))],
      run: ([x, factor]) => scaleBy(x, factor),
      reference: ([x, factor]) => x.map((v) => v * factor[0]),
    }),
  },
];

const convolution = (large: boolean, kernel: number, stride: number, padding: number): ConvShape =>
  large ? [7, 10, 9, 67, 9, kernel, kernel, stride, padding] : [2, 5, 4, 3, 3, kernel, kernel, stride, padding];

function denseConvolution(kernel: number, stride: number, padding: number): OpCase {
  return {
    op: "denseConv",
    title: `${kernel} × ${kernel}, stride ${stride}, padding ${padding}`,
    make(large) {
      const shape = convolution(large, kernel, stride, padding);
      const [c, h, w, n, o] = shape;
      return {
        inputs: [input([c, h, w, n]), input([o, c, kernel, kernel])],
        run: ([x, weight]) => conv2d(x, weight, { stride, padding }),
        reference: ([x, weight]) => plain.convolve(x, weight, shape),
      };
    },
  };
}

/** Random ascending indices: each with probability `density`. */
export function randomIndices(t: number, size: number, density: number): Int32Array {
  const chosen: number[] = [];
  for (let i = 0; i < size; i++) if (hashAt(t, i) < density * 0x100000000) chosen.push(i);
  return Int32Array.from(chosen);
}

function sparseConvolution(density: number, kernel: number, stride: number, padding: number): OpCase {
  return {
    op: "sparseConv",
    title: `density ${density}, ${kernel} × ${kernel}, stride ${stride}, padding ${padding}`,
    make(large) {
      const shape = convolution(large, kernel, stride, padding);
      const [c, h, w, n, o] = shape;
      const dense = [o, c, kernel, kernel];
      const topology = new Topology(dense, randomIndices(kernel, sizeOf(dense), density));
      return {
        inputs: [input([c, h, w, n]), input([topology.nnz])],
        run: ([x, values]) => conv2d(x, new SparseTensor(topology, values), { stride, padding }),
        reference: ([x, values]) => plain.convolve(x, plain.densify(values, topology.indices, sizeOf(dense)), shape),
      };
    },
  };
}

const convolutionCases: OpCase[] = [
  denseConvolution(1, 1, 0),
  denseConvolution(3, 1, 1),
  denseConvolution(3, 2, 1),
  sparseConvolution(0.4, 1, 1, 0),
  sparseConvolution(0.3, 3, 1, 1),
  sparseConvolution(0.3, 3, 2, 1),
  sparseConvolution(0, 3, 1, 1),
  {
    op: "addBias",
    title: "of a dense linear layer",
    make(large) {
      const [i, o, n] = large ? [40, 130, 301] : [4, 3, 5];
      return {
        inputs: [input([i, n]), input([o, i]), input([o])],
        run: ([x, weight, bias]) => linear(x, weight, bias),
        reference: ([x, weight, bias]) =>
          plain.matrixProduct(weight, x, o, i, n).map((v, f) => v + bias[Math.floor(f / n)]),
      };
    },
  },
  {
    op: "addBias",
    title: "of a sparse linear layer",
    make(large) {
      const [i, o, n] = large ? [40, 130, 301] : [4, 3, 5];
      const topology = new Topology([o, i], randomIndices(77, o * i, 0.4));
      return {
        inputs: [input([i, n]), input([topology.nnz]), input([o])],
        run: ([x, values, bias]) => linear(x, new SparseTensor(topology, values), bias),
        reference: ([x, values, bias]) =>
          plain
            .matrixProduct(plain.densify(values, topology.indices, o * i), x, o, i, n)
            .map((v, f) => v + bias[Math.floor(f / n)]),
      };
    },
  },
];

/** A convolution that computes only outputs 1, 3, 5 …, read by an op that knows nothing of missing channels. */
const compactConvolution: OpCase = {
  op: "expand",
  title: "a convolution without its even outputs",
  make(large) {
    const shape = convolution(large, 3, 1, 1);
    const [c, h, w, n, o] = shape;
    const dense = [o, c, 3, 3];
    const topology = new Topology(dense, randomIndices(5, sizeOf(dense), 0.3));
    const needed = Int32Array.from({ length: o }, (_, channel) => channel % 2);
    return {
      inputs: [input([c, h, w, n]), input([topology.nnz])],
      run: ([x, values]) => {
        const wanted = Tensor.from(needed, [o], { dtype: "i32" });
        return scale(conv2d(x, new SparseTensor(topology, values), { padding: 1, needed: wanted }), 2);
      },
      reference: ([x, values]) =>
        plain
          .convolve(x, plain.densify(values, topology.indices, sizeOf(dense)), shape)
          .map((v, i) => 2 * v * needed[Math.floor(i / (h * w * n))]),
    };
  },
};

/** BatchNorm on its own, before ReLU, before a residual sum, before both; the residual is the fourth input. */
function normalization(training: boolean, follow: { residual: boolean; relu: boolean }): OpCase {
  const title = [
    training ? "batch statistics" : "running statistics",
    follow.residual && "residual",
    follow.relu && "relu",
  ];
  return {
    op: "batchNorm",
    title: title.filter(Boolean).join(", "),
    make(large) {
      const shape = activations(large);
      const c = shape[0];
      const runningMean = rounded(signed(7, c));
      const runningVariance = rounded(uniform(8, c).map((v) => v + 0.5));
      const sums = ([x, weight, bias, residual]: readonly Float64Array[]) => {
        const statistics = { mean: runningMean, variance: runningVariance };
        const y = plain.normalize(x, weight, bias, training ? undefined : statistics);
        return follow.residual ? y.map((v, i) => v + residual[i]) : y;
      };
      const draw = (): Input[] => [
        input(shape),
        input(
          [c],
          uniform(tensorNumber++, c).map((v) => v + 0.5),
        ),
        input([c]),
        ...(follow.residual ? [input(shape)] : []),
      ];
      let inputs = draw();
      // No sum so close to 0 that a difference quotient straddles the ReLU's bend.
      const bent = () => sums(inputs.map(({ data }) => data)).some((v) => Math.abs(v) < 0.02);
      while (!large && follow.relu && bent()) inputs = draw();
      return {
        inputs,
        run([x, weight, bias, residual]) {
          const options = { dtype: weight.dtype };
          const y = batchNorm(x, weight, bias, {
            training,
            runningMean: Tensor.from(runningMean, [c], options),
            runningVariance: Tensor.from(runningVariance, [c], options),
          });
          const total = residual ? add(y, residual) : y;
          return follow.relu ? relu(total) : total;
        },
        reference: (data) => (follow.relu ? plain.rectify(sums(data)) : sums(data)),
      };
    },
  };
}

function dynamicRelu(beta: number, blend: "coefficients" | "outputs"): OpCase {
  return {
    op: "dyrelu",
    title: `beta ${beta}, blend ${blend}`,
    make(large) {
      const shape = activations(large);
      const [c, , , n] = shape;
      const u = input([4 * c, n]);
      const reference = ([x, coefficients]: readonly Float64Array[]) =>
        plain.dynamicRelu(x, coefficients, c, n, beta, blend);
      // Moves x off the bends: there the slopes on both sides differ.
      const x = awayFromZero(shape).data.slice();
      const bent = () => {
        const at = (by: number) => reference([x.map((v) => v + by), u.data]);
        const [left, middle, right] = [at(-0.02), at(0), at(0.02)];
        return x.map((_, i) => (Math.abs(left[i] + right[i] - 2 * middle[i]) > 1e-6 ? 1 : 0));
      };
      for (let found = bent(); !large && largest(found) > 0; found = bent())
        for (const i of x.keys()) x[i] += found[i] / 8;
      return { inputs: [input(shape, x), u], run: ([tensor, by]) => dyrelu(tensor, by, { beta, blend }), reference };
    },
  };
}

function cosineTransform(kernel: number, stride: number, padding: number, outputs: number): OpCase {
  return {
    op: "dctConv",
    title: `${kernel} × ${kernel}, stride ${stride}, padding ${padding}, ${outputs} outputs`,
    make(large) {
      const [c, h, w, n] = large ? [6, 9, 11, 67] : [2, 5, 4, 3];
      const shape: ConvShape = [c, h, w, n, outputs, kernel, kernel, stride, padding];
      return {
        inputs: [input([c, h, w, n])],
        run: ([x]) => dctConv2d(x, { outputs, kernel, stride, padding }),
        reference: ([x]) => plain.convolve(x, plain.cosineWeight(c, outputs, kernel), shape),
      };
    },
  };
}

function pooling(kernel: number, stride: number, padding: number): OpCase {
  return {
    op: "maxPool",
    title: `${kernel} × ${kernel}, stride ${stride}, padding ${padding}`,
    make(large) {
      const [c, h, w, n] = large ? [5, 9, 11, 67] : [2, 5, 4, 3];
      return {
        inputs: [distinct([c, h, w, n])],
        run: ([x]) => maxPool(x, { kernel, stride, padding }),
        reference: ([x]) => plain.maxWindows(x, [c, h, w, n, c, kernel, kernel, stride, padding]),
      };
    },
  };
}

function entropy(labelSmoothing: number): OpCase {
  return {
    op: "crossEntropy",
    title: `label smoothing ${labelSmoothing}`,
    make(large) {
      const [classes, n] = large ? [100, 401] : [4, 5];
      const labels = Float64Array.from({ length: n }, (_, i) => hashAt(9, i) % classes);
      return {
        inputs: [
          input(
            [classes, n],
            signed(tensorNumber++, classes * n).map((v) => 3 * v),
          ),
          { shape: [n], data: labels, trained: false, dtype: "i32" },
        ],
        run: ([logits, targets]) => crossEntropy(logits, targets, { labelSmoothing }),
        reference: ([logits, targets]) => Float64Array.of(plain.softmaxLoss(logits, targets, labelSmoothing)),
      };
    },
  };
}

/** Every op of the engine; one without a row here fails the suite. */
export const opCases: readonly OpCase[] = [
  ...elementwiseCases,
  ...convolutionCases,
  compactConvolution,
  ...[true, false].flatMap((training) => [
    normalization(training, { residual: false, relu: false }),
    normalization(training, { residual: false, relu: true }),
    normalization(training, { residual: true, relu: false }),
    normalization(training, { residual: true, relu: true }),
  ]),
  dynamicRelu(1, "coefficients"),
  dynamicRelu(0.4, "coefficients"),
  dynamicRelu(0.4, "outputs"),
  dynamicRelu(0, "coefficients"),
  {
    op: "globalAveragePool",
    title: "of each plane",
    make(large) {
      const shape = activations(large);
      return {
        inputs: [input(shape)],
        run: ([x]) => globalAveragePool(x),
        reference: ([x]) => plain.averagePlanes(x, shape[0], shape[3]),
      };
    },
  },
  cosineTransform(3, 1, 1, 4), // 18 or 54 numbers a patch: factors 2 and 3
  cosineTransform(3, 2, 1, 5),
  cosineTransform(1, 1, 0, 16), // more outputs than inputs: 16 numbers, by fours
  cosineTransform(2, 1, 0, 25), // 24 and 25 numbers: a factor of 5
  cosineTransform(1, 2, 0, 11), // a prime
  cosineTransform(1, 1, 0, 1),
  pooling(2, 2, 0),
  pooling(3, 2, 1),
  entropy(0),
  entropy(0.1),
];
