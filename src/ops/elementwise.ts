import { expected } from "../errors.js";
import { addConverted, type Channels, convert, type Dtype, defineOp, sizeOf, Tensor } from "../tensor/index.js";

export const like = (x: Tensor, shape: readonly number[] = x.shape) =>
  Tensor.empty(shape, { dtype: x.dtype, device: x.device });

/** For ops whose kernels divide by the extents. */
export function notEmpty(where: string, ...tensors: readonly { readonly shape: readonly number[] }[]): void {
  for (const { shape } of tensors)
    if (sizeOf(shape) === 0) throw expected(where, "tensors with elements", `shape [${shape.join(", ")}]`);
}

/** Kind and value buffers of a tensor's channels, null for a complete tensor: consecutive arguments of kernels. */
export const given = (channels: Channels | null | undefined): [kind: number | null, value: number | null] => [
  channels?.kind.buffer ?? null,
  channels?.value.buffer ?? null,
];

function sameShape(where: string, a: Tensor, b: Tensor): void {
  if (a.shape.length !== b.shape.length || a.shape.some((extent, i) => extent !== b.shape[i]))
    throw expected(where, `two tensors of shape [${a.shape.join(", ")}]`, `[${b.shape.join(", ")}]`);
}

const addOp = defineOp<[Tensor, Tensor], null, null>("add", {
  forward([a, b]) {
    const output = like(a);
    a.kernels.add(a.buffer, b.buffer, output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [a], gradient, needs, give }) {
    if (needs(0) && needs(1)) {
      const copy = like(a);
      a.kernels.copy(gradient.buffer, copy.buffer, false);
      give(0, copy);
    } else if (needs(0)) give(0, gradient);
    if (needs(1)) give(1, gradient);
  },
});

/** a + b, same shapes. Behind a `batchNorm` that has not run yet the sum joins it in one pass. */
export function add(a: Tensor, b: Tensor): Tensor {
  sameShape("add", a, b);
  const open = ({ deferred }: Tensor) => {
    const norm = deferred?.norm;
    return norm && !norm.residual && !norm.relu ? norm : null;
  };
  const [norm, other] = open(a) ? [open(a), b] : [open(b), a];
  if (norm && a !== b) return Tensor.defer(a, norm.with({ residual: other, relu: false }));
  return addOp([a, b], null);
}

const multiplyOp = defineOp<[Tensor, Tensor], null, null>("multiply", {
  forward([a, b]) {
    const output = like(a);
    a.kernels.multiply(a.buffer, b.buffer, output.buffer, false);
    return { output, saved: null };
  },
  backward({ inputs: [a, b], gradient, needs, into }) {
    for (const [i, other] of [b, a].entries()) {
      if (!needs(i)) continue;
      const { tensor, accumulate } = into(i);
      a.kernels.multiply(gradient.buffer, other.buffer, tensor.buffer, accumulate);
    }
  },
});

/** a · b elementwise, same shapes. */
export function multiply(a: Tensor, b: Tensor): Tensor {
  sameShape("multiply", a, b);
  return multiplyOp([a, b], null);
}

const scaleOp = defineOp<[Tensor], number, null>("scale", {
  forward([x], factor) {
    const output = like(x);
    x.kernels.scale(x.buffer, factor, output.buffer, false);
    return { output, saved: null };
  },
  backward({ inputs: [x], attributes: factor, gradient, into }) {
    const { tensor, accumulate } = into(0);
    x.kernels.scale(gradient.buffer, factor, tensor.buffer, accumulate);
  },
});

/** factor · x for a plain number. */
export function scale(x: Tensor, factor: number): Tensor {
  return scaleOp([x], factor);
}

const scaleByOp = defineOp<[Tensor, Tensor], null, null>("scaleBy", {
  forward([x, factor]) {
    const output = like(x);
    x.kernels.scale_by(x.buffer, factor.buffer, output.buffer, false);
    return { output, saved: null };
  },
  backward({ inputs: [x, factor], gradient, needs, into }) {
    if (needs(1)) {
      const { tensor, accumulate } = into(1);
      x.kernels.dot(gradient.buffer, x.buffer, tensor.buffer, accumulate);
    }
    if (needs(0)) {
      const { tensor, accumulate } = into(0);
      x.kernels.scale_by(gradient.buffer, factor.buffer, tensor.buffer, accumulate);
    }
  },
});

/** factor · x for a trainable factor of one element (the scale of a shared weight). */
export function scaleBy(x: Tensor, factor: Tensor): Tensor {
  if (factor.size !== 1) throw expected("scaleBy", "a factor of one element", `shape [${factor.shape.join(", ")}]`);
  return scaleByOp([x, factor], null);
}

const reluOp = defineOp<[Tensor], null, null>("relu", {
  forward([x]) {
    const output = like(x);
    x.kernels.relu_forward(x.buffer, output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x], output, gradient, into }) {
    const { tensor, accumulate } = into(0);
    x.kernels.relu_backward(output.buffer, gradient.buffer, tensor.buffer, accumulate);
  },
});

/** max(x, 0), derivative 0 at 0. Behind a `batchNorm` that has not run yet both run in one pass. */
export function relu(x: Tensor): Tensor {
  const norm = x.deferred?.norm;
  if (norm && !norm.relu) {
    const joined = norm.with({ residual: norm.residual, relu: true });
    return norm.residual ? joined.compute() : Tensor.defer(x, joined);
  }
  return reluOp([x], null);
}

const sumOp = defineOp<[Tensor], number, null>("sum", {
  forward([x], factor) {
    const output = like(x, [1]);
    x.kernels.sum(x.buffer, factor, output.buffer, false);
    return { output, saved: null };
  },
  backward({ inputs: [x], attributes: factor, gradient, into }) {
    const { tensor, accumulate } = into(0);
    x.kernels.broadcast(gradient.buffer, factor, tensor.buffer, accumulate);
  },
});

/** Sum of all elements, shape [1]. */
export function sum(x: Tensor): Tensor {
  return sumOp([x], 1);
}

/** Mean of all elements, shape [1]. */
export function mean(x: Tensor): Tensor {
  return sumOp([x], 1 / x.size);
}

const castOp = defineOp<[Tensor], "f32" | "bf16", null>("cast", {
  forward: ([x], dtype) => ({ output: convert(x, dtype), saved: null }),
  backward({ gradient, into }) {
    const { tensor, accumulate } = into(0);
    addConverted(gradient, tensor, accumulate);
  },
});

/**
 * The same numbers stored as `dtype`: bf16 halves the memory of an activation, rounded to the nearest (ties to even, 8
 * significant bits), and so is its gradient.
 */
export function cast(x: Tensor, dtype: Dtype): Tensor {
  if (x.dtype === dtype) return x;
  for (const type of [x.dtype, dtype])
    if (type !== "f32" && type !== "bf16") throw expected("cast", "f32 or bf16 numbers", type);
  return castOp([x], dtype as "f32" | "bf16");
}

const reshapeOp = defineOp<[Tensor], readonly number[], null>("reshape", {
  forward([x], shape) {
    return { output: x.view(shape), saved: null };
  },
  backward({ inputs: [x], gradient, give }) {
    give(0, gradient.view(x.shape));
  },
});

/** The same elements, row-major, under another shape of the same size; no copy. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== x.size) throw expected("reshape", `${x.size} elements`, `shape [${shape.join(", ")}]`);
  return reshapeOp([x], shape);
}
