import { expected } from "../errors.js";
import { defineOp, emptyChannels, recordedAsNow, Tensor } from "../tensor/index.js";
import { given, like, notEmpty } from "./elementwise.js";

export interface BatchNormOptions {
  /** Running mean and variance, `[c]`: updated in training, used in evaluation. */
  readonly runningMean: Tensor;
  readonly runningVariance: Tensor;
  readonly training: boolean;
  /** 1e-5 by default. */
  readonly epsilon?: number;
  /** Weight of the new batch in the running statistics; 0.1 by default. */
  readonly momentum?: number;
}

interface Attributes extends Required<BatchNormOptions> {
  readonly relu: boolean;
  readonly updateStatistics: boolean;
}

const batchNormOp = defineOp<
  [Tensor, Tensor, Tensor, Tensor | null],
  Attributes,
  { mean: Tensor; inverseDeviation: Tensor }
>("batchNorm", {
  compact: true,
  forward([x, weight, bias, residual], attributes) {
    const { runningMean, runningVariance, training, epsilon, momentum, relu, updateStatistics } = attributes;
    const c = x.shape[0];
    const output = like(x);
    if (x.channels) output.channels = emptyChannels(output);
    const saved = { mean: like(x, [c]), inverseDeviation: like(x, [c]) };
    const { mean, inverseDeviation } = saved;
    const [kind] = given(x.channels);
    const other = [residual?.buffer ?? null, ...given(residual?.channels)] as const;
    const result = [output.buffer, ...given(output.channels)] as const;
    // biome-ignore format: the kernel's argument order
    if (training) x.kernels.batch_norm_forward(x.buffer, kind, ...other, weight.buffer, bias.buffer, c, epsilon, relu,
      mean.buffer, inverseDeviation.buffer, updateStatistics ? runningMean.buffer : null, updateStatistics ? runningVariance.buffer : null, momentum, ...result);
    // biome-ignore format: the kernel's argument order
    else x.kernels.batch_norm_evaluate(x.buffer, kind, ...other, weight.buffer, bias.buffer, runningMean.buffer,
      runningVariance.buffer, c, epsilon, relu, mean.buffer, inverseDeviation.buffer, ...result);
    return { output, saved };
  },
  backward({ inputs: [x, weight, bias, residual], attributes: { relu, training }, saved, output, ...context }) {
    const { gradient, needs, into, give } = context;
    const c = x.shape[0];
    const passesOn = residual !== null;
    const dweight = needs(1) ? into(1) : null;
    const dbias = needs(2) ? into(2) : null;
    // Without a residual dx may overwrite the incoming gradient.
    const dx = needs(0) ? (passesOn ? like(x) : gradient.view(x.shape)) : null;
    // The masked gradient is the residual's, in place; which of its planes are there is worked out anew.
    const dresidual = passesOn ? gradient.view(x.shape) : null;
    if (dresidual && output.channels) dresidual.channels = emptyChannels(output);
    // biome-ignore format: the kernel's argument order
    x.kernels.batch_norm_backward(x.buffer, given(x.channels)[0], passesOn && relu ? output.buffer : null, given(output.channels)[0],
      gradient.buffer, ...given(gradient.channels), weight.buffer, bias.buffer, saved.mean.buffer, saved.inverseDeviation.buffer,
      c, relu, training, passesOn, given(residual?.channels)[0], ...given(dresidual?.channels), dx?.buffer ?? null,
      dweight?.tensor.buffer ?? null, dbias?.tensor.buffer ?? null, dweight?.accumulate ?? dbias?.accumulate ?? false);
    if (dx) give(0, dx);
    if (dresidual && needs(3)) give(3, dresidual);
  },
});

/**
 * Normalises each channel of `x [c, …]` over all its other extents, then scales and shifts by `weight [c]` and
 * `bias [c]` (Ioffe and Szegedy, 2015): biased variance inside, unbiased in the running estimate. Runs when it is read;
 * an `add` and a `relu` that follow directly are computed in the same pass.
 */
export function batchNorm(x: Tensor, weight: Tensor, bias: Tensor, options: BatchNormOptions): Tensor {
  notEmpty("batchNorm", x);
  const c = x.shape[0];
  for (const tensor of [weight, bias, options.runningMean, options.runningVariance])
    if (tensor.size !== c) throw expected("batchNorm", `${c} numbers per parameter for ${c} channels`, tensor.size);
  x.materialize();
  const { epsilon = 1e-5, momentum = 0.1 } = options;
  let computed = false;
  return Tensor.defer(x, {
    residual: null,
    compute: recordedAsNow(({ relu, residual }) => {
      const updateStatistics = !computed;
      computed = true;
      return batchNormOp([x, weight, bias, residual], { ...options, epsilon, momentum, relu, updateStatistics });
    }),
  });
}
