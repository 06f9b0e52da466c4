import { type CudaKernels, native } from "../native.js";
import { defineOp, Tensor } from "../tensor/index.js";
import { like } from "./elementwise.js";
import { addDenseGradient, outputShape, type SparseConv } from "./sparse-conv.js";

type Inputs = [x: Tensor, values: Tensor];
const none = [null, null, null, null] as const;

/** The weight with its zeros, `[o, i, kh, kw]`. */
function scattered({ topology }: SparseConv, values: Tensor): Tensor {
  const weight = Tensor.zeros(topology.shape, { dtype: values.dtype, device: values.device });
  values.kernels.scatter(values.buffer, topology.positions.buffer, weight.buffer);
  return weight;
}

const dense = defineOp<Inputs, SparseConv, Tensor>("sparseConv", {
  forward([x, values], attributes) {
    const { shape, denseGradient } = attributes;
    if (denseGradient.wanted) denseGradient.used();
    const output = like(x, outputShape(shape));
    const weight = scattered(attributes, values);
    x.kernels.dense_conv_forward(x.buffer, weight.buffer, shape, output.buffer);
    return { output, saved: weight };
  },
  backward({ inputs: [x, values], attributes, saved: weight, gradient, needs, into, give }) {
    addDenseGradient(x, values, attributes, gradient);
    const { shape, topology } = attributes;
    if (needs(1)) {
      const [all, existing] = [like(weight), like(values)];
      // biome-ignore format: the kernel's argument order
      x.kernels.dense_conv_backward_weight(x.buffer, null, null, ...none, gradient.buffer, null, null, shape, null, all.buffer, false);
      values.kernels.gather(all.buffer, topology.positions.buffer, existing.buffer);
      all.dispose();
      give(1, existing);
    }
    if (needs(0)) {
      const { tensor, accumulate } = into(0);
      x.kernels.dense_conv_backward_data(gradient.buffer, weight.buffer, shape, tensor.buffer, accumulate);
    }
  },
});

const kernelsOf = (x: Tensor) => native.kernels.cuda?.[x.dtype as "f32" | "bf16" | "f64"] as CudaKernels;

const cusparse = defineOp<Inputs, SparseConv, null>("sparseConv", {
  forward([x, values], { shape, topology, denseGradient }) {
    if (denseGradient.wanted) denseGradient.used();
    const output = like(x, outputShape(shape));
    const { start, entry, value, nonzeros } = topology.taps.rows;
    // biome-ignore format: the kernel's argument order
    kernelsOf(x).cusparse_conv_forward(x.buffer, values.buffer, start.buffer, entry.buffer, value.buffer, nonzeros, shape, output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x, values], attributes, gradient, needs, into }) {
    addDenseGradient(x, values, attributes, gradient);
    const { shape, topology } = attributes;
    const { start, entry, value, nonzeros } = topology.taps.columns;
    const [dx, dvalues] = [0, 1].map((input) => (needs(input) ? into(input) : null));
    // biome-ignore format: the kernel's argument order
    kernelsOf(x).cusparse_conv_backward(x.buffer, gradient.buffer, values.buffer, start.buffer, entry.buffer, value.buffer, nonzeros, shape,
      dx?.tensor.buffer ?? null, dx?.accumulate ?? false, dvalues?.tensor.buffer ?? null, dvalues?.accumulate ?? false);
  },
});

/** Sparse convolutions of complete activations, with complete results: for readers of the tape like any other. */
export const completeConv = { dense, cusparse };
