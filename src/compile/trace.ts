import { type EastingError, expected } from "../errors.js";
import type { Module } from "../nn/index.js";
import type { SparseConv } from "../ops/index.js";
import { type Normalization, scope, type TapeNode, Tensor, tape } from "../tensor/index.js";
import { type Graph, type ImageInput, identity, type Row, type Step } from "./graph.js";

/** The planes of a traced activation; `[c, n]` counts as 1 × 1. */
interface Value {
  readonly height: number;
  readonly width: number;
  readonly planes: readonly number[];
}

/**
 * The graph of a network: a forward pass of one blank image in evaluation mode, read off the autograd records. Every
 * channel is there, and BatchNorm, sums and ReLUs are steps of their own: rows with a single weight at dy = dx = 0.
 */
export function trace(model: Module, image: ImageInput, classes: readonly string[]): Graph {
  const [c, h, w] = image.shape;
  const { training } = model;
  model.eval();
  try {
    return scope(() => {
      const blank = Tensor.zeros([c, h, w, 1], { requiresGradient: true });
      const logits = model.forward(blank);
      logits.materialize();
      if (logits.shape.length !== 2 || logits.shape[0] !== classes.length)
        throw unsupported(`logits of shape [${classes.length}, 1]`, `shape [${logits.shape.join(", ")}]`);
      const steps = new Tracer(blank).follow(logits);
      return { image, classes, steps };
    });
  } finally {
    model.train(training);
  }
}

const unsupported = (wanted: string, got: string, hint?: string): EastingError =>
  expected("compile", wanted, got, hint, "EASTING_COMPILE");

class Tracer {
  readonly #values = new Map<Tensor, Value>();
  readonly #normalized = new Map<Normalization, Value>();
  readonly #weights = new Map<Tensor, number>();
  readonly #steps: Step[] = [];
  #planes = 0;

  constructor(image: Tensor) {
    this.#values.set(image, this.#fresh(image.shape));
  }

  follow(logits: Tensor): readonly Step[] {
    for (const node of tape(logits).reverse()) {
      const value = this.#node(node);
      if (value) this.#values.set(node.output, value);
    }
    // The last step is a convolution whatever the network ends with.
    const value = this.#value(logits);
    if (this.#steps.at(-1)?.op !== "convolution") this.#pointwise(value, {});
    return this.#steps;
  }

  #fresh([c, height = 1, width = 1]: readonly number[]): Value {
    const first = this.#planes;
    this.#planes += c;
    return { height, width, planes: Array.from({ length: c }, (_, i) => first + i) };
  }

  #value(tensor: Tensor): Value {
    const value = this.#values.get(tensor);
    if (!value) throw unsupported("activations that depend on the image or on nothing", "an input that does not");
    return value;
  }

  /** What the node computes; undefined for arithmetic on weights, which is done where they are used. */
  #node(node: TapeNode): Value | undefined {
    const [first, second] = node.inputs as readonly Tensor[];
    switch (node.name) {
      case "sparseConv": {
        const { shape, topology, normalization } = node.attributes as SparseConv;
        const input = normalization ? this.#normalize(normalization) : this.#value(first);
        return this.#convolution(input, node.output, shape, second, topology.indices);
      }
      case "denseConv":
        return this.#convolution(this.#value(first), node.output, node.attributes as SparseConv["shape"], second, null);
      case "batchNorm": {
        const { statistics, relu, training } = node.attributes as BatchNorm;
        const [x, weight, bias, residual] = node.inputs as readonly (Tensor | null)[] as [
          Tensor,
          Tensor,
          Tensor,
          Tensor | null,
        ];
        if (training) throw unsupported("BatchNorm in evaluation mode", "one in training mode");
        const affine = affineOf({ weight, bias, ...statistics });
        return this.#pointwise(this.#value(x), { ...affine, relu, residual: residual && this.#value(residual) });
      }
      case "add":
        return this.#pointwise(this.#value(first), { residual: this.#value(second) });
      case "relu":
        return this.#pointwise(this.#value(first), { relu: true });
      case "addBias":
        return this.#pointwise(this.#value(first), { bias: second.dataSync() });
      case "expand":
        return this.#value(first);
      case "reshape":
      case "scaleBy":
        return this.#values.get(first) && this.#same(node, first);
      case "scale": {
        const factor = node.attributes as number;
        return this.#pointwise(this.#value(first), { scale: new Float64Array(first.shape[0]).fill(factor) });
      }
      case "globalAveragePool":
        return this.#averagePool(this.#value(first));
      case "maxPool":
        return this.#maxPool(this.#value(first), node);
      case "dyrelu":
        throw unsupported(
          "plain ReLUs",
          "DyReLU, which mixes all channels",
          "train past the end of DyReLU's phasing, or take a later checkpoint",
        );
      default:
        throw unsupported("convolutions, BatchNorm, sums, ReLU and pooling", `the op ${node.name}`);
    }
  }

  /** A reshape between `[c, 1, 1, n]` and `[c, n]`. */
  #same(node: TapeNode, input: Tensor): Value {
    const value = this.#value(input);
    if (node.name !== "reshape" || node.output.shape[0] !== input.shape[0])
      throw unsupported("activations that keep their channels", `a ${node.name} to [${node.output.shape.join(", ")}]`);
    return value;
  }

  #push(step: Step): Value {
    this.#steps.push(step);
    const { height, width, rows } = step;
    return { height, width, planes: rows.map(({ plane }) => plane) };
  }

  #convolution(
    input: Value,
    output: Tensor,
    [, , , , outputs, kh, kw, stride, padding]: SparseConv["shape"],
    values: Tensor,
    indices: Int32Array | null,
  ): Value {
    const { leaf, factor } = weightOf(values);
    const weights = leaf.dataSync() as Float32Array;
    const tensor = this.#weights.get(leaf) ?? this.#weights.size;
    this.#weights.set(leaf, tensor);
    const perRow = input.planes.length * kh * kw;
    const { height, width, planes } = this.#fresh(output.shape);
    const count = weights.length;
    const [inputs, dy, dx] = [new Int32Array(count), new Int8Array(count), new Int8Array(count)];
    const starts = new Int32Array(outputs + 1);
    for (let k = 0; k < count; k++) {
      const index = indices ? indices[k] : k;
      const within = index % perRow;
      inputs[k] = input.planes[Math.floor(within / (kh * kw))];
      dy[k] = Math.floor((within % (kh * kw)) / kw) - padding;
      dx[k] = (within % kw) - padding;
      starts[Math.floor(index / perRow) + 1]++;
    }
    const rows = planes.map((plane, channel): Row => {
      starts[channel + 1] += starts[channel];
      const [first, end] = [starts[channel], starts[channel + 1]];
      return { plane, channel, first, end, scale: factor, bias: 0, residual: null };
    });
    const entries = { inputs, dy, dx, weights };
    return this.#push({ op: "convolution", height, width, stride, relu: false, tensor, rows, ...entries });
  }

  /** BatchNorm and ReLU that a convolution computes as it loads; once, whoever loads. */
  #normalize(normalization: Normalization): Value {
    const known = this.#normalized.get(normalization);
    if (known) return known;
    const { x, weight, bias } = normalization;
    const affine = affineOf({ weight, bias, ...normalization.statistics() });
    const value = this.#pointwise(this.#value(x), { ...affine, relu: true });
    this.#normalized.set(normalization, value);
    return value;
  }

  /** act(scale · x + bias + residual) for each channel. */
  #pointwise(
    input: Value,
    {
      scale,
      bias,
      residual,
      relu = false,
    }: {
      scale?: ArrayLike<number>;
      bias?: ArrayLike<number>;
      residual?: Value | null;
      relu?: boolean;
    },
  ): Value {
    const { height, width } = input;
    const { planes } = this.#fresh([input.planes.length]);
    const rows = planes.map(
      (plane, channel): Row => ({
        plane,
        channel,
        first: channel,
        end: channel + 1,
        scale: scale?.[channel] ?? 1,
        bias: bias?.[channel] ?? 0,
        residual: residual ? identity(residual.planes[channel]) : null,
      }),
    );
    const count = planes.length;
    const entries = {
      inputs: Int32Array.from(input.planes),
      dy: new Int8Array(count),
      dx: new Int8Array(count),
      weights: new Float32Array(count).fill(1),
    };
    return this.#push({ op: "convolution", height, width, stride: 1, relu, tensor: null, rows, ...entries });
  }

  #averagePool(input: Value): Value {
    const { planes } = this.#fresh([input.planes.length]);
    const rows = planes.map((plane, channel) => ({ plane, channel, input: identity(input.planes[channel]) }));
    return this.#push({ op: "averagePool", height: 1, width: 1, rows });
  }

  #maxPool(input: Value, node: TapeNode): Value {
    const [, , , , , kernel, , stride, padding] = node.attributes as SparseConv["shape"];
    const { height, width, planes } = this.#fresh(node.output.shape);
    const rows = planes.map((plane, channel) => ({ plane, channel, input: input.planes[channel] }));
    return this.#push({ op: "maxPool", height, width, kernel, stride, padding, rows });
  }
}

interface BatchNorm {
  readonly statistics: { readonly mean: Tensor; readonly inverseDeviation: Tensor };
  readonly relu: boolean;
  readonly training: boolean;
}

/** BatchNorm as scale · x + bias: γ / σ, and β − μ γ / σ. */
function affineOf({
  mean,
  inverseDeviation,
  weight,
  bias,
}: Record<"mean" | "inverseDeviation" | "weight" | "bias", Tensor>) {
  const [mu, inverse, gamma, beta] = [mean, inverseDeviation, weight, bias].map((tensor) => tensor.dataSync());
  const scale = Float64Array.from(gamma, (value, i) => value * inverse[i]);
  return { scale, bias: Float64Array.from(beta, (value, i) => value - mu[i] * scale[i]) };
}

/** The trained weight behind what a convolution used, and the factor it was multiplied by (weight sharing). */
function weightOf(tensor: Tensor): { readonly leaf: Tensor; readonly factor: number } {
  const { node } = tensor;
  if (!node) return { leaf: tensor, factor: 1 };
  const [from, by] = node.inputs as readonly Tensor[];
  const { leaf, factor } = weightOf(from);
  if (node.name === "reshape") return { leaf, factor };
  if (node.name === "scaleBy") return { leaf, factor: factor * by.item() };
  throw unsupported("weights that are trained or scaled", `weights computed by ${node.name}`);
}
