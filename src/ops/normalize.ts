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
  readonly statistics: { readonly mean: Tensor; readonly inverseDeviation: Tensor };
  /** Whether the statistics are yet to be taken, together with the output. */
  readonly first: boolean;
}

const batchNormOp = defineOp<[Tensor, Tensor, Tensor, Tensor | null], Attributes, null>("batchNorm", {
  compact: true,
  forward([x, weight, bias, residual], attributes) {
    const { runningMean, runningVariance, training, epsilon, momentum, relu, statistics, first } = attributes;
    const c = x.shape[0];
    const output = like(x);
    if (x.channels) output.channels = emptyChannels(output);
    const mean = statistics.mean.buffer;
    const deviation = statistics.inverseDeviation.buffer;
    const input = [x.buffer, given(x.channels)[0], residual?.buffer ?? null, ...given(residual?.channels)] as const;
    const result = [output.buffer, ...given(output.channels)] as const;
    const running = [runningMean.buffer, runningVariance.buffer] as const;
    // biome-ignore format: the kernel's argument order
    if (training) x.kernels.batch_norm_forward(...input, weight.buffer, bias.buffer, c, epsilon, relu, mean, deviation, first ? running[0] : null, first ? running[1] : null, momentum, ...result);
    // biome-ignore format: the kernel's argument order
    else x.kernels.batch_norm_evaluate(...input, weight.buffer, bias.buffer, ...running, c, epsilon, relu, mean, deviation, ...result);
    return { output, saved: null };
  },
  backward({ inputs: [x, weight, bias, residual], attributes: { relu, training, statistics }, output, ...context }) {
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
      gradient.buffer, ...given(gradient.channels), weight.buffer, bias.buffer, statistics.mean.buffer, statistics.inverseDeviation.buffer,
      c, relu, training, passesOn, given(residual?.channels)[0], ...given(dresidual?.channels), dx?.buffer ?? null,
      dweight?.tensor.buffer ?? null, dbias?.tensor.buffer ?? null, dweight?.accumulate ?? dbias?.accumulate ?? false);
    if (dx) give(0, dx);
    if (dresidual && needs(3)) give(3, dresidual);
  },
});

/**
 * Normalises each channel of `x [c, …]` over all its other extents, then scales and shifts by `weight [c]` and
 * `bias [c]` (Ioffe and Szegedy, 2015): biased variance inside, unbiased in the running estimate. Runs when it is read;
 * an `add` and a `relu` that follow directly are computed in the same pass, and a sparse convolution behind
 * the ReLU normalises as it loads.
 */
export function batchNorm(x: Tensor, weight: Tensor, bias: Tensor, options: BatchNormOptions): Tensor {
  notEmpty("batchNorm", x);
  const c = x.shape[0];
  for (const tensor of [weight, bias, options.runningMean, options.runningVariance])
    if (tensor.size !== c) throw expected("batchNorm", `${c} numbers per parameter for ${c} channels`, tensor.size);
  x.materialize();
  const { epsilon = 1e-5, momentum = 0.1 } = options;
  const resolved = { ...options, epsilon, momentum };
  let taken: Attributes["statistics"] | null = null;
  const room = () => ({ mean: like(x, [c]), inverseDeviation: like(x, [c]) });
  return Tensor.defer(x, {
    residual: null,
    relu: false,
    compute: recordedAsNow(({ relu, residual }) => {
      const first = taken === null;
      taken ??= room();
      return batchNormOp([x, weight, bias, residual], { ...resolved, relu, statistics: taken, first });
    }),
    source: {
      x,
      weight,
      bias,
      training: options.training,
      statistics() {
        if (taken) return taken;
        taken = room();
        const { runningMean, runningVariance, training } = options;
        // biome-ignore format: the kernel's argument order
        x.kernels.batch_norm_statistics(x.buffer, given(x.channels)[0], c, epsilon, training, taken.mean.buffer, taken.inverseDeviation.buffer,
          runningMean.buffer, runningVariance.buffer, momentum);
        return taken;
      },
    },
  });
}
