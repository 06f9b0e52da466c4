import { expected } from "../errors.js";
import type { ConvShape } from "../native.js";
import { defineOp, type Tensor } from "../tensor/index.js";
import { like, notEmpty, reshape } from "./elementwise.js";

export interface DctOptions {
  /** Channels of the result: coefficients 0 … outputs − 1 of every patch. */
  readonly outputs: number;
  /** Side of the patches. */
  readonly kernel: number;
  /** 1 by default. */
  readonly stride?: number;
  /** Zeros around the image; 0 by default. */
  readonly padding?: number;
}

const dctConv = defineOp<[Tensor], ConvShape, null>("dctConv", {
  forward([x], shape) {
    const [, h, w, n, o, kh, kw, stride, padding] = shape;
    const side = (extent: number, k: number) => Math.floor((extent + 2 * padding - k) / stride) + 1;
    const output = like(x, [o, side(h, kh), side(w, kw), n]);
    x.kernels.dct_conv_forward(x.buffer, shape, output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x], attributes: shape, gradient, into }) {
    const { tensor, accumulate } = into(0);
    x.kernels.dct_conv_backward(gradient.buffer, shape, tensor.buffer, accumulate);
  },
});

/**
 * Convolution of `x [c, h, w, n]` with a fixed dense weight, by a fast transform for each pixel: channel o of the result is
 * coefficient o of the orthonormal DCT-II of the patch, taken in the order (ky, kx, c) and padded with zeros to
 * max(c·kernel², outputs) numbers (Price and Tanner, "Dense for the price of sparse", 2021).
 */
export function dctConv2d(x: Tensor, { outputs, kernel, stride = 1, padding = 0 }: DctOptions): Tensor {
  const [c, h, w, n] = x.shape;
  if (x.shape.length !== 4) throw expected("dctConv2d", "x [c, h, w, n]", `[${x.shape.join(", ")}]`);
  notEmpty("dctConv2d", x);
  for (const [name, value, least] of [
    ["outputs", outputs, 1],
    ["a kernel", kernel, 1],
    ["a stride", stride, 1],
    ["a padding", padding, 0],
  ] as const)
    if (!Number.isInteger(value) || value < least) throw expected("dctConv2d", `${name} of at least ${least}`, value);
  if (Math.min(h, w) + 2 * padding < kernel)
    throw expected("dctConv2d", `an image of at least ${kernel} × ${kernel} after padding`, `${h} × ${w}`);
  return dctConv([x], [c, h, w, n, outputs, kernel, kernel, stride, padding]);
}

/** The first `outputs` coefficients of the DCT-II of each column of `x [i, n]`, giving `[outputs, n]`. */
export function dctLinear(x: Tensor, outputs: number): Tensor {
  const [i, n] = x.shape;
  if (x.shape.length !== 2) throw expected("dctLinear", "x [i, n]", `[${x.shape.join(", ")}]`);
  return reshape(dctConv2d(reshape(x, [i, 1, 1, n]), { outputs, kernel: 1 }), [outputs, n]);
}
