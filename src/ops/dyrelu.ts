import { expected } from "../errors.js";
import { defineOp, Tensor } from "../tensor/index.js";
import { like, notEmpty } from "./elementwise.js";

export interface DyReluOptions {
  /** 1: fully dynamic; 0: a plain ReLU. A tensor `[1]` (f64) lets it change while the graph of a step stays. */
  readonly beta: number | Tensor;
  /** What β mixes with ReLU: the coefficients (EAST's code) or the outputs (the paper's Algorithm 1). */
  readonly blend?: "coefficients" | "outputs";
}

interface Attributes {
  readonly beta: Tensor;
  readonly blend: "coefficients" | "outputs";
}

const dyreluOp = defineOp<[Tensor, Tensor], Attributes, null>("dyrelu", {
  forward([x, u], { beta, blend }) {
    const output = like(x);
    const [c, , , n] = x.shape;
    x.kernels.dyrelu_forward(x.buffer, u.buffer, c, n, beta.buffer, blend === "outputs", output.buffer);
    return { output, saved: null };
  },
  backward({ inputs: [x, u], attributes: { beta, blend }, gradient, needs, give }) {
    const [c, , , n] = x.shape;
    const du = like(u);
    // biome-ignore format: the kernel's argument order
    x.kernels.dyrelu_backward(x.buffer, u.buffer, gradient.buffer, c, n, beta.buffer, blend === "outputs", gradient.buffer, du.buffer);
    if (needs(0)) give(0, gradient);
    if (needs(1)) give(1, du);
  },
});

/**
 * DyReLU-B (Chen et al., "Dynamic ReLU", 2020) with a phase: y = max(a₁x + b₁, a₂x + b₂) per channel and image. The
 * coefficients come from `u [4c, n]`, rows (a₁, a₂, b₁, b₂) per channel: with Δ = 2σ(u) − 1, a = (1 + Δ, Δ) and
 * b = (Δ/2, Δ/2); the phase then mixes them with ReLU's, a ← βa + (1 − β)(1, 0), b ← βb. Ties take the first line.
 */
export function dyrelu(x: Tensor, u: Tensor, options: DyReluOptions): Tensor {
  const [c, , , n] = x.shape;
  if (x.shape.length !== 4 || u.shape.length !== 2 || u.shape[0] !== 4 * c || u.shape[1] !== n)
    throw expected("dyrelu", `x [c, h, w, n] and u [4c, n]`, `[${x.shape.join(", ")}] and [${u.shape.join(", ")}]`);
  notEmpty("dyrelu", x);
  const { blend = "coefficients", beta } = options;
  if (typeof beta !== "number") return dyreluOp([x, u], { blend, beta });
  if (!(beta >= 0 && beta <= 1)) throw expected("dyrelu", "beta from 0 to 1", beta);
  return dyreluOp([x, u], { blend, beta: Tensor.from([beta], [1], { dtype: "f64", device: x.device }) });
}
