import type { ConvShape } from "../../src/native.js";

// What the ops compute, as plain loops over plain arrays of doubles.

type Numbers = ArrayLike<number>;

/** Calls `visit(x index, weight index, y index)` for every product of a convolution, batch included. */
function eachProduct(
  [c, h, w, n, o, kh, kw, stride, padding]: ConvShape,
  visit: (x: number, weight: number, y: number) => void,
): void {
  const [height, width] = extents([c, h, w, n, o, kh, kw, stride, padding]);
  for (let to = 0; to < o; to++)
    for (let from = 0; from < c; from++)
      for (let dh = 0; dh < kh; dh++)
        for (let dw = 0; dw < kw; dw++)
          for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++) {
              const row = y * stride + dh - padding;
              const column = x * stride + dw - padding;
              if (row < 0 || row >= h || column < 0 || column >= w) continue;
              const source = ((from * h + row) * w + column) * n;
              const target = ((to * height + y) * width + x) * n;
              const weight = ((to * c + from) * kh + dh) * kw + dw;
              for (let image = 0; image < n; image++) visit(source + image, weight, target + image);
            }
}

/** Height and width of the output. */
export function extents([, h, w, , , kh, kw, stride, padding]: ConvShape): [number, number] {
  return [Math.floor((h + 2 * padding - kh) / stride) + 1, Math.floor((w + 2 * padding - kw) / stride) + 1];
}

export function convolve(x: Numbers, weight: Numbers, shape: ConvShape): Float64Array {
  const [height, width] = extents(shape);
  const y = new Float64Array(shape[4] * height * width * shape[3]);
  eachProduct(shape, (from, by, to) => {
    y[to] += x[from] * weight[by];
  });
  return y;
}

/** Weight `[outputs, channels, kernel, kernel]` of the DCT of patches in the order (ky, kx, c): W[o, c, ky, kx] = D[(ky·k + kx)·C + c, o]. */
export function cosineWeight(channels: number, outputs: number, kernel: number): Float64Array {
  const n = Math.max(channels * kernel * kernel, outputs);
  return Float64Array.from({ length: outputs * channels * kernel * kernel }, (_, f) => {
    const tap = f % (kernel * kernel);
    const c = Math.floor(f / (kernel * kernel)) % channels;
    const o = Math.floor(f / (kernel * kernel * channels));
    const j = tap * channels + c;
    return Math.sqrt((o === 0 ? 1 : 2) / n) * Math.cos((Math.PI * (2 * j + 1) * o) / (2 * n));
  });
}

export function convolveBackward(x: Numbers, weight: Numbers, dy: Numbers, shape: ConvShape) {
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(weight.length);
  eachProduct(shape, (from, by, to) => {
    dx[from] += dy[to] * weight[by];
    dweight[by] += dy[to] * x[from];
  });
  return { dx, dweight };
}

/** A weight with `values` at ascending flat `indices` and zeros elsewhere. */
export function densify(values: Numbers, indices: Int32Array, size: number): Float64Array {
  const dense = new Float64Array(size);
  for (let k = 0; k < indices.length; k++) dense[indices[k]] = values[k];
  return dense;
}

export const matrixProduct = (weight: Numbers, x: Numbers, o: number, i: number, n: number): Float64Array =>
  convolve(x, weight, [i, 1, 1, n, o, 1, 1, 1, 0]);

/** Mean and biased variance of each of `channels` equal runs. */
export function channelStatistics(x: Numbers, channels: number): { mean: Float64Array; variance: Float64Array } {
  const size = x.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < size; i++) mean[c] += x[c * size + i] / size;
    for (let i = 0; i < size; i++) variance[c] += (x[c * size + i] - mean[c]) ** 2 / size;
  }
  return { mean, variance };
}

/** (x - mean) / √(variance + ε) · weight + bias, with given statistics or those of `x`. */
export function normalize(
  x: Numbers,
  weight: Numbers,
  bias: Numbers,
  statistics = channelStatistics(x, weight.length),
  epsilon = 1e-5,
): Float64Array {
  const size = x.length / weight.length;
  return Float64Array.from(x, (value, i) => {
    const c = Math.floor(i / size);
    return ((value - statistics.mean[c]) / Math.sqrt(statistics.variance[c] + epsilon)) * weight[c] + bias[c];
  });
}

export const rectify = (x: Numbers): Float64Array => Float64Array.from(x, (value) => Math.max(value, 0));

/** DyReLU-B of `x [channels, …, n]` with `u [4 channels, n]`. */
export function dynamicRelu(
  x: Numbers,
  u: Numbers,
  channels: number,
  n: number,
  beta: number,
  blend: "coefficients" | "outputs",
): Float64Array {
  const size = x.length / channels;
  return Float64Array.from(x, (value, i) => {
    const at = (q: number) => {
      const theta = u[(Math.floor(i / size) * 4 + q) * n + (i % n)];
      return 2 / (1 + Math.exp(-theta)) - 1;
    };
    const [a1, a2, b1, b2] = [1 + at(0), at(1), at(2) / 2, at(3) / 2];
    const relu = Math.max(value, 0);
    if (blend === "outputs") return beta * Math.max(a1 * value + b1, a2 * value + b2) + (1 - beta) * relu;
    return Math.max((beta * a1 + 1 - beta) * value + beta * b1, beta * (a2 * value + b2));
  });
}

export function averagePlanes(x: Numbers, channels: number, n: number): Float64Array {
  const pixels = x.length / channels / n;
  const y = new Float64Array(channels * n);
  for (let i = 0; i < x.length; i++) y[Math.floor(i / pixels / n) * n + (i % n)] += x[i] / pixels;
  return y;
}

/** Largest value of each window; `shape` as for a convolution of each channel with itself. */
export function maxWindows(x: Numbers, shape: ConvShape): Float64Array {
  const [c, h, w, n, , kh, kw, stride, padding] = shape;
  const [height, width] = extents(shape);
  const y = new Float64Array(c * height * width * n).fill(Number.NEGATIVE_INFINITY);
  for (let channel = 0; channel < c; channel++)
    eachProduct([1, h, w, n, 1, kh, kw, stride, padding], (from, _, to) => {
      const target = channel * height * width * n + to;
      y[target] = Math.max(y[target], x[channel * h * w * n + from]);
    });
  return y;
}

/** Mean cross-entropy of the softmax of `logits [classes, n]`, with label smoothing. */
export function softmaxLoss(logits: Numbers, labels: Numbers, smoothing: number): number {
  const n = labels.length;
  const classes = logits.length / n;
  let loss = 0;
  for (let image = 0; image < n; image++) {
    let total = 0;
    for (let k = 0; k < classes; k++) total += Math.exp(logits[k * n + image]);
    for (let k = 0; k < classes; k++) {
      const target = (k === labels[image] ? 1 - smoothing : 0) + smoothing / classes;
      loss -= (target * (logits[k * n + image] - Math.log(total))) / n;
    }
  }
  return loss;
}
