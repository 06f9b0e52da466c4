// What `npm run bench` measures. A case's bytes are the traffic that no implementation avoids: every number that the
// result depends on is read once, every result written once, in f32; what fits in registers or is read again while it
// is in cache does not count.
import { resolveDevice, sample, Tensor, Topology, uniform } from "easting";
import { native } from "../dist/native.js";

/**
 * @typedef {object} Case
 * @property {string} kernel
 * @property {string} size
 * @property {number} [density] of a sparse weight
 * @property {number} bytes
 * @property {number} [flops] additions and multiplications
 * @property {(buffers: Buffers) => Record<string, unknown>} args by the names in native/kernels.def; the rest is off
 */

const chunk = uniform({ seed: 1, purpose: "test" }, 2 ** 18, -1, 1);

/**
 * @typedef {object} Sizes
 * @property {number} n images of a batch
 * @property {{ c: number, side: number }[]} stages channels and side of an image
 * @property {number[]} densities @property {number[]} weights @property {number} images of the data set
 * @property {{ c: number, side: number, n: number }} pool
 */

/** A CIFAR ResNet-34 at batch 128; the pool is the one behind the stem of ImageNet networks. @type {Sizes} */
export const resnet34 = {
  n: 128,
  stages: [
    { c: 64, side: 32 },
    { c: 128, side: 16 },
    { c: 256, side: 8 },
    { c: 512, side: 4 },
  ],
  densities: [1, 0.1, 0.01, 0.001, 0.0001],
  weights: [21265, 21265088], // stored weights at 99.9 %, and all of them
  images: 5000,
  pool: { c: 64, side: 112, n: 8 },
};

/** Every kernel at sizes that suit tools under which kernels run a hundred times slower. @type {Sizes} */
export const small = {
  n: 12,
  stages: [
    { c: 24, side: 8 },
    { c: 16, side: 5 },
  ],
  densities: [1, 0.1, 0.01],
  weights: [1000],
  images: 50,
  pool: { c: 3, side: 12, n: 2 },
};

/** The kernels of the device that tensors are made on. */
export const kernels = () => {
  const found = native.kernels[resolveDevice().device]?.f32;
  if (!found) throw new Error("expected a build with CUDA");
  return found;
};

/** Whether cuSPARSE's convolutions can be measured too; takes it and cuBLAS into use where they are. */
export function useLibraries() {
  if (resolveDevice().device === "cpu") return false;
  const cusparse = native.libraries?.().some(({ name, reason }) => name === "cuSPARSE" && reason === "") ?? false;
  native.useLibraries?.(cusparse);
  return cusparse;
}

/** Device memory of one case. */
export class Buffers {
  /** @type {(Tensor | Topology)[]} */
  #held = [];
  /** Bytes held. */
  size = 0;

  /** Random numbers in [-1, 1). @param {number} size */
  real(size) {
    const { buffer } = this.#hold(Tensor.empty([size]));
    for (let at = 0; at < size; at += chunk.length)
      native.upload(buffer, chunk.subarray(0, Math.min(chunk.length, size - at)), 4 * at);
    return buffer;
  }

  /** @param {number[]} numbers */
  reals(numbers) {
    return this.#hold(Tensor.from(numbers, [numbers.length])).buffer;
  }

  /** @param {number[]} numbers */
  doubles(numbers) {
    return this.#hold(Tensor.from(numbers, [numbers.length], { dtype: "f64" })).buffer;
  }

  /** Random positive numbers. @param {number} size */
  positive(size) {
    return this.#hold(Tensor.from(uniform({ seed: 2, purpose: "test" }, size, 0.5, 1.5), [size])).buffer;
  }

  /** @param {ArrayLike<number>} numbers */
  integers(numbers) {
    return this.#hold(Tensor.from(Int32Array.from(numbers), [numbers.length], { dtype: "i32" })).buffer;
  }

  /** @param {Uint8Array} bytes */
  bytes(bytes) {
    return this.#hold(Tensor.from(bytes, [bytes.length], { dtype: "u8" })).buffer;
  }

  /** Rows and columns of a topology, by the names of the kernels' arguments. @param {Topology} topology */
  orders(topology) {
    this.#held.push(topology);
    this.size += 12 * topology.indices.length;
    const { rowStart, rowEntry, columnStart, columnEntry, columnValue } = topology.orders;
    return {
      row: { row_start: rowStart.buffer, row_entry: rowEntry.buffer },
      column: { column_start: columnStart.buffer, column_entry: columnEntry.buffer, column_value: columnValue.buffer },
    };
  }

  /** The same tap by tap, for cuSPARSE: rows are outputs, or with `transposed` inputs. @param {Topology} topology @param {boolean} transposed */
  taps(topology, transposed) {
    this.#held.push(topology);
    this.size += 8 * topology.indices.length;
    const { start, entry, value, nonzeros } = topology.taps[transposed ? "columns" : "rows"];
    return { tap_start: start.buffer, tap_entry: entry.buffer, tap_value: value.buffer, nonzeros };
  }

  dispose() {
    for (const held of this.#held) held.dispose();
    this.#held = [];
  }

  /** @param {Tensor} tensor */
  #hold(tensor) {
    this.#held.push(tensor);
    this.size += (tensor.dtype === "u8" ? 1 : 4) * tensor.size;
    return tensor;
  }
}

const classes = 10;
const index = (/** @type {number} */ size) => Int32Array.from({ length: size }, (_, i) => i);

/** @param {Sizes} sizes @param {boolean} cusparse cuSPARSE's convolutions too @returns {Case[]} */
export function cases(sizes = resnet34, cusparse = false) {
  const { n, stages, densities, weights } = sizes;
  return [
    ...stages.flatMap(({ c, side }) => activationCases(n, c, side)),
    ...stages.flatMap(({ c, side }) => denseConvCases(n, c, side)),
    ...stages.flatMap(({ c, side }) => cosineConvCases(n, c, side)),
    ...stages.flatMap(({ c, side }) => densities.flatMap((density) => sparseConvCases(n, c, side, density))),
    ...(cusparse ? stages : []).flatMap(({ c, side }) =>
      densities.filter((density) => density < 1).flatMap((density) => cusparseConvCases(n, c, side, density)),
    ),
    ...weights.flatMap(weightCases),
    ...otherCases(sizes),
  ];
}

/**
 * A BatchNorm with ReLU in training; without `y` only its statistics.
 * @param {Buffers} b @param {number} c @param {{ residual?: number | null, y?: number }} planes
 */
function normForward(b, c, { residual = null, y }) {
  const [weight, bias, mean, deviation] = [b.positive(c), b.real(c), b.real(c), b.positive(c)];
  const running = [b.real(c), b.positive(c)];
  return [
    weight,
    bias,
    mean,
    deviation,
    ...running,
    1e-5,
    0.1,
    true,
    true,
    residual,
    null,
    null,
    y ?? null,
    null,
    null,
    null,
  ];
}

/**
 * Its backward; a `y` says that there was a residual.
 * @param {Buffers} b @param {number} c @param {{ x: number, y: number | null, dy: number, dx: number }} planes
 */
function normBackward(b, c, { x, y, dy, dx }) {
  const [weight, bias, mean, deviation] = [b.positive(c), b.real(c), b.real(c), b.positive(c)];
  const [dweight, dbias] = [b.real(c), b.real(c)];
  const kinds = [null, null, null];
  // biome-ignore format: the struct's order
  return [x, null, y, null, dy, null, null, weight, bias, mean, deviation, true, true, y !== null, ...kinds, dx, dweight, dbias, false, null];
}

/** Kernels over activations [c, side, side, n]. @param {number} n @param {number} c @param {number} side @returns {Case[]} */
function activationCases(n, c, side) {
  const size = c * side * side * n;
  const name = `${c}x${side}x${side}`;
  /**
   * @param {string} kernel @param {number} numbers read and written for each number of the activation
   * @param {Case["args"]} args
   */
  const over = (kernel, numbers, args, variant = "") => ({
    kernel,
    size: `${name}${variant}`,
    bytes: 4 * numbers * size,
    args,
  });
  const channels = c;
  /** @param {Buffers} b */
  const dynamic = (b) => ({
    x: b.real(size),
    u: b.real(4 * c * n),
    channels,
    batch: n,
    beta: b.doubles([1]),
    blend_outputs: false,
  });
  /** Every second channel a plane, the others a constant. @param {Buffers} b */
  const half = (b) => ({ channels, x_kind: b.integers(index(c).map((i) => 1 + (i % 2))) });
  return [
    over("fill", 1, (b) => ({ y: b.real(size), value: 0.5 })),
    over("copy", 2, (b) => ({ x: b.real(size), y: b.real(size) })),
    over("add", 3, (b) => ({ a: b.real(size), b: b.real(size), y: b.real(size) })),
    over("narrow", 2, (b) => ({ x: b.real(size), y: b.real(size) })),
    over("widen", 2, (b) => ({ x: b.real(size), y: b.real(size) })),
    over("multiply", 3, (b) => ({ a: b.real(size), b: b.real(size), y: b.real(size) })),
    over("scale", 2, (b) => ({ x: b.real(size), factor: 0.5, y: b.real(size) })),
    over("scale_by", 2, (b) => ({ x: b.real(size), factor: b.reals([0.5]), y: b.real(size) })),
    over("broadcast", 1, (b) => ({ x: b.reals([0.5]), factor: 1, y: b.real(size) })),
    over("sum", 1, (b) => ({ x: b.real(size), factor: 1, y: b.real(1) })),
    over("dot", 2, (b) => ({ a: b.real(size), b: b.real(size), y: b.real(1) })),
    over("channel_sum", 1, (b) => ({ x: b.real(size), channels, y: b.real(c) })),
    over("add_bias", 2, (b) => ({ x: b.real(size), bias: b.real(c), channels, y: b.real(size) })),
    over("relu_forward", 2, (b) => ({ x: b.real(size), y: b.real(size) })),
    over("relu_backward", 3, (b) => ({ y: b.real(size), dy: b.real(size), dx: b.real(size) })),
    over("batch_norm_forward", 1, (b) => ({ x: b.real(size), channels, norm: normForward(b, c, {}) }), " statistics"),
    ...[false, true].flatMap((residual) => {
      const variant = residual ? " +residual" : "";
      const more = residual ? 1 : 0;
      /** @param {Buffers} b */
      const added = (b) => (residual ? b.real(size) : null);
      return [
        over(
          "batch_norm_forward",
          2 + more,
          (b) => ({ x: b.real(size), channels, norm: normForward(b, c, { residual: added(b), y: b.real(size) }) }),
          variant,
        ),
        // With a residual the output tells what the ReLU passed, and the masked gradient is a second result.
        over(
          "batch_norm_backward",
          3 + 2 * more,
          (b) => ({
            channels,
            norm: normBackward(b, c, { x: b.real(size), y: added(b), dy: b.real(size), dx: b.real(size) }),
          }),
          variant,
        ),
      ];
    }),
    over("dyrelu_forward", 2, (b) => ({ ...dynamic(b), y: b.real(size) })),
    over("dyrelu_backward", 3, (b) => ({ ...dynamic(b), dy: b.real(size), dx: b.real(size), du: b.real(4 * c * n) })),
    over("expand_forward", 1.5, (b) => ({ ...half(b), x: b.real(size), x_value: b.real(c), y: b.real(size) })),
    over("expand_backward", 1.5, (b) => ({
      ...half(b),
      dy: b.real(size),
      dx: b.real(size),
      dx_kind: b.integers(index(c)),
      dx_value: b.real(c),
    })),
    over("average_pool_forward", 1, (b) => ({ x: b.real(size), channels, batch: n, y: b.real(c * n) })),
    over("average_pool_backward", 1, (b) => ({ dy: b.real(c * n), channels, batch: n, dx: b.real(size) })),
  ];
}

/** 3×3 convolutions that keep channels and side. @param {number} n @param {number} c @param {number} side @returns {Case[]} */
function denseConvCases(n, c, side) {
  const plane = side * side * n;
  const weights = c * c * 9;
  const shape = [c, side, side, n, c, 3, 3, 1, 1];
  const common = { size: `${c}x${side}x${side} 3x3`, bytes: 4 * (2 * c * plane + weights), flops: 2 * weights * plane };
  return [
    {
      kernel: "dense_conv_forward",
      ...common,
      args: (b) => ({ x: b.real(c * plane), weight: b.real(weights), shape, y: b.real(c * plane) }),
    },
    {
      kernel: "dense_conv_backward_data",
      ...common,
      args: (b) => ({ dy: b.real(c * plane), weight: b.real(weights), shape, dx: b.real(c * plane) }),
    },
    {
      kernel: "dense_conv_backward_weight",
      ...common,
      args: (b) => ({ x: b.real(c * plane), dy: b.real(c * plane), shape, dweight: b.real(weights) }),
    },
  ];
}

/** The same by a fast cosine transform of each patch; about 2.5 q log2 q operations. @param {number} n @param {number} c @param {number} side @returns {Case[]} */
function cosineConvCases(n, c, side) {
  const plane = side * side * n;
  const shape = [c, side, side, n, c, 3, 3, 1, 1];
  const flops = 2.5 * plane * 9 * c * Math.log2(9 * c);
  const common = { size: `${c}x${side}x${side} 3x3`, bytes: 4 * 2 * c * plane, flops };
  return [
    { kernel: "dct_conv_forward", ...common, args: (b) => ({ x: b.real(c * plane), shape, y: b.real(c * plane) }) },
    { kernel: "dct_conv_backward", ...common, args: (b) => ({ dy: b.real(c * plane), shape, dx: b.real(c * plane) }) },
  ];
}

/**
 * The same convolutions with weights at random positions. Channels without a connection are not read; every output is
 * written. @param {number} n @param {number} c @param {number} side @param {number} density @returns {Case[]}
 */
function sparseConvCases(n, c, side, density) {
  const plane = side * side * n;
  const nnz = Math.max(1, Math.round(density * c * c * 9));
  const positions = sample({ seed: 1, purpose: "topology" }, c * c * 9, nnz);
  const rows = new Set(positions.map((position) => Math.floor(position / (9 * c)))).size;
  const columns = new Set(positions.map((position) => Math.floor(position / 9) % c)).size;
  const shape = [c, side, side, n, c, 3, 3, 1, 1];
  const common = { size: `${c}x${side}x${side} 3x3 density ${density}`, density };
  const topology = () => new Topology([c, c, 3, 3], positions);
  return [
    {
      kernel: "sparse_conv_forward",
      ...common,
      bytes: 4 * (columns + c) * plane + 8 * nnz, // value and entry of each weight
      flops: 2 * nnz * plane,
      args: (b) => ({
        x: b.real(c * plane),
        values: b.real(nnz),
        ...b.orders(topology()).row,
        shape,
        y: b.real(c * plane),
      }),
    },
    {
      kernel: "sparse_conv_forward",
      ...common,
      size: `${common.size} +norm +residual`,
      bytes: 4 * (columns + 3 * c) * plane + 8 * nnz, // also reads the residual and writes the normalised sum
      flops: 2 * nnz * plane,
      args: (b) => ({
        x: b.real(c * plane),
        values: b.real(nnz),
        ...b.orders(topology()).row,
        shape,
        y: b.real(c * plane),
        next: normForward(b, c, { residual: b.real(c * plane), y: b.real(c * plane) }),
      }),
    },
    {
      kernel: "sparse_conv_backward",
      ...common,
      bytes: 4 * (columns + rows + c) * plane + 16 * nnz, // value, entry, position and gradient of each weight
      flops: 4 * nnz * plane, // of the data and of the weights
      args: (b) => ({
        x: b.real(c * plane),
        dy: b.real(c * plane),
        values: b.real(nnz),
        ...b.orders(topology()).column,
        shape,
        dx: b.real(c * plane),
        dvalues: b.real(nnz),
      }),
    },
    {
      kernel: "sparse_conv_backward",
      ...common,
      size: `${common.size} +norm +residual`,
      bytes: 4 * (rows + 5 * c) * plane + 16 * nnz, // adds to the gradient of the residual sum, and goes through BatchNorm
      flops: 4 * nnz * plane,
      args: (b) => {
        const [x, dx] = [b.real(c * plane), b.real(c * plane)];
        return {
          x,
          dy: b.real(c * plane),
          values: b.real(nnz),
          ...b.orders(topology()).column,
          shape,
          dx,
          accumulate_dx: true,
          dvalues: b.real(nnz),
          previous: normBackward(b, c, { x: b.real(c * plane), y: x, dy: dx, dx: b.real(c * plane) }),
        };
      },
    },
    {
      kernel: "sparse_conv_backward_normalized",
      ...common,
      bytes: 4 * (c + rows + c) * plane + 16 * nnz, // every input plane is masked and goes back through BatchNorm
      flops: 4 * nnz * plane,
      args: (b) => ({
        x: b.real(c * plane),
        norm_weight: b.positive(c),
        norm_bias: b.real(c),
        norm_mean: b.real(c),
        norm_deviation: b.positive(c),
        training: true,
        dy: b.real(c * plane),
        values: b.real(nnz),
        ...b.orders(topology()).column,
        shape,
        dx: b.real(c * plane),
        dnorm_weight: b.real(c),
        dnorm_bias: b.real(c),
        dvalues: b.real(nnz),
      }),
    },
  ];
}

/** The first of those by cuSPARSE, forward and backward. @param {number} n @param {number} c @param {number} side @param {number} density @returns {Case[]} */
function cusparseConvCases(n, c, side, density) {
  const [forward, , backward] = sparseConvCases(n, c, side, density);
  const plane = side * side * n;
  const shape = [c, side, side, n, c, 3, 3, 1, 1];
  const nnz = Math.max(1, Math.round(density * c * c * 9));
  /** One for all copies: its order takes a processor longer than the kernel takes a GPU. @type {Topology | undefined} */
  let shared;
  const topology = () => {
    shared ??= new Topology([c, c, 3, 3], sample({ seed: 1, purpose: "topology" }, c * c * 9, nnz));
    return shared;
  };
  return [
    {
      ...forward,
      kernel: "cusparse_conv_forward",
      args: (b) => ({
        x: b.real(c * plane),
        values: b.real(nnz),
        ...b.taps(topology(), false),
        shape,
        y: b.real(c * plane),
      }),
    },
    {
      ...backward,
      kernel: "cusparse_conv_backward",
      args: (b) => ({
        x: b.real(c * plane),
        dy: b.real(c * plane),
        values: b.real(nnz),
        ...b.taps(topology(), true),
        shape,
        dx: b.real(c * plane),
        dvalues: b.real(nnz),
      }),
    },
  ];
}

/** Kernels over all weights at once. @param {number} size @returns {Case[]} */
function weightCases(size) {
  const name = `${size} weights`;
  const rates = (/** @type {any} */ b) => ({ schedule: b.doubles([1e-4, 100]), weight_decay: 1e-4 });
  return [
    {
      kernel: "sgd_step",
      size: name,
      bytes: 20 * size, // reads weight, gradient, velocity; writes weight, velocity
      args: (b) => ({
        tensors: [b.real(size), b.real(size), b.real(size)],
        ...rates(b),
        momentum: 0.9,
        nesterov: true,
      }),
    },
    {
      kernel: "adam_step",
      size: name,
      bytes: 28 * size, // reads weight, gradient, both moments; writes all but the gradient
      args: (b) => ({
        tensors: [b.real(size), b.real(size), b.real(size), b.positive(size)],
        ...rates(b),
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
      }),
    },
    {
      kernel: "sum_of_squares",
      size: name,
      bytes: 4 * size,
      args: (b) => ({ xs: [b.real(size)], y: b.real(1) }),
    },
    {
      kernel: "gather",
      size: name,
      bytes: 12 * size, // number, position, result
      args: (b) => ({ x: b.real(size), positions: b.integers(index(size)), y: b.real(size) }),
    },
    {
      kernel: "scatter",
      size: name,
      bytes: 12 * size,
      args: (b) => ({ x: b.real(size), positions: b.integers(index(size)), y: b.real(size) }),
    },
  ];
}

/** The ends of a network, and topology updates. @param {Sizes} sizes @returns {Case[]} */
function otherCases({ n, stages, images, pool }) {
  const labels = index(n).map((i) => i % classes);
  const logits = classes * n;
  const image = 3 * 32 * 32;
  const { c } = stages[stages.length - 1];
  const weights = c * c * 9;
  const k = Math.max(1, Math.round(weights / 1000));
  const pooled = (pool.c * pool.side ** 2 * pool.n) / 4;
  const poolShape = [pool.c, pool.side, pool.side, pool.n, pool.c, 3, 3, 2, 1];
  const poolName = `${pool.c}x${pool.side}x${pool.side} 3x3/2 batch ${pool.n}`;
  return [
    {
      kernel: "max_pool_forward",
      size: poolName,
      bytes: 4 * (4 + 2) * pooled, // reads x; writes y and the winners
      args: (b) => ({ x: b.real(4 * pooled), shape: poolShape, y: b.real(pooled), winner: b.integers(index(pooled)) }),
    },
    {
      kernel: "max_pool_backward",
      size: poolName,
      bytes: 4 * (4 + 2) * pooled,
      args: (b) => {
        const winner = b.integers(index(pooled));
        kernels().max_pool_forward(b.real(4 * pooled), /** @type {any} */ (poolShape), b.real(pooled), winner);
        return { dy: b.real(pooled), winner, shape: poolShape, dx: b.real(4 * pooled) };
      },
    },
    {
      kernel: "cross_entropy_forward",
      size: `${classes} classes`,
      bytes: 8 * logits + 4 * n,
      args: (b) => ({
        logits: b.real(logits),
        labels: b.integers(labels),
        classes,
        smoothing: 0,
        loss: b.real(1),
        probabilities: b.real(logits),
      }),
    },
    {
      kernel: "cross_entropy_backward",
      size: `${classes} classes`,
      bytes: 8 * logits + 4 * n,
      args: (b) => ({
        probabilities: b.positive(logits),
        labels: b.integers(labels),
        dloss: b.reals([1]),
        classes,
        smoothing: 0,
        dlogits: b.real(logits),
      }),
    },
    {
      kernel: "count_correct",
      size: `${classes} classes`,
      bytes: 4 * logits + 4 * n,
      args: (b) => ({
        logits: b.real(logits),
        labels: b.integers(labels),
        classes,
        top: 1,
        correct: b.integers([0]),
      }),
    },
    {
      kernel: "clip_factor",
      size: "110 tensors",
      bytes: 4 * 110,
      args: (b) => ({ sums_of_squares: b.positive(110), maximum: 1, factor: b.real(1) }),
    },
    {
      kernel: "top_k",
      size: `${k} of ${c}x${c}x3x3`,
      bytes: 4 * weights + 8 * k, // scores, excluded positions; chosen positions
      args: (b) => ({
        scores: b.real(weights),
        excluded: b.integers(sample({ seed: 1, purpose: "topology" }, weights, k)),
        key: [1, 3, 0, 0],
        positions: b.integers(index(k)),
      }),
    },
    {
      kernel: "augment",
      size: `3x32x32 of ${images} images`,
      bytes: 5 * image * n, // a byte in, an f32 out
      args: (b) => ({
        images: b.bytes(new Uint8Array(images * image).map((_, i) => (i * 97) & 255)),
        indices: b.integers(sample({ seed: 1, purpose: "shuffle" }, images, n)),
        mean: b.reals([0.49, 0.48, 0.45]),
        deviation: b.reals([0.25, 0.24, 0.26]),
        shape: [3, 32, 32, n, 3, 1, 1, 1, 4],
        reflect: true,
        flip: true,
        random: true,
        key: [1, 5, 0, 1],
        y: b.real(image * n),
      }),
    },
  ];
}
