import { expected } from "../errors.js";
import type { BatchNormBackward, BatchNormForward } from "../native.js";
import {
  type Backward,
  type Deferred,
  defineOp,
  emptyChannels,
  type Normalization,
  recordedAsNow,
  Tensor,
} from "../tensor/index.js";
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

/** Attributes of a BatchNorm on the tape. */
export interface BatchNorm {
  readonly training: boolean;
  readonly relu: boolean;
  readonly statistics: { readonly mean: Tensor; readonly inverseDeviation: Tensor };
  /** What the forward pass has written. */
  readonly output: Tensor;
}

/** What runs in the same pass behind a normalisation. */
interface Fused {
  readonly relu: boolean;
  readonly residual: Tensor | null;
  readonly means?: Tensor;
}

type BatchNormInputs = readonly [x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | null];

const batchNormOp = defineOp<BatchNormInputs, BatchNorm, null>("batchNorm", {
  compact: true,
  forward: (_, { output }) => ({ output, saved: null }),
  backward(context) {
    const { norm, finish } = batchNormGradients(context);
    const [x] = context.inputs;
    x.kernels.batch_norm_backward(x.shape[0], norm);
    finish();
  },
});

/**
 * What the backward of a BatchNorm reads and writes, as its kernel wants it, and what is to be done when it has run. With
 * `dmeans` `[c, n]` the output's means over pixels have that gradient, which its own lacks.
 */
export function batchNormGradients(
  context: Backward<BatchNormInputs, BatchNorm, null>,
  dmeans: Tensor | null = null,
): { norm: BatchNormBackward; finish(): void } {
  const { inputs, attributes, output, gradient, needs, into, over, give } = context;
  const [x, weight, bias, residual] = inputs;
  const { relu, training, statistics } = attributes;
  const passesOn = residual !== null;
  const [dweight, dbias] = [1, 2].map((input) => (needs(input) ? into(input) : null));
  // Without a residual dx may overwrite the incoming gradient.
  const dx = needs(0) ? (passesOn ? over(0) : gradient.view(x.shape)) : null;
  // The masked gradient is the residual's, in place; which of its planes are there is worked out anew.
  const dresidual = passesOn ? gradient.view(x.shape) : null;
  if (dresidual && output.channels) dresidual.channels = emptyChannels(output);
  // biome-ignore format: the struct's order
  const norm: BatchNormBackward = [x.buffer, given(x.channels)[0], passesOn && relu ? output.buffer : null, given(output.channels)[0],
    gradient.buffer, ...given(gradient.channels), weight.buffer, bias.buffer, statistics.mean.buffer, statistics.inverseDeviation.buffer,
    training, relu, passesOn, given(residual?.channels)[0], ...given(dresidual?.channels), dx?.buffer ?? null,
    dweight?.tensor.buffer ?? null, dbias?.tensor.buffer ?? null, dweight?.accumulate ?? dbias?.accumulate ?? false, dmeans?.buffer ?? null];
  return {
    norm,
    finish() {
      if (dx) give(0, dx);
      if (dresidual && needs(3)) give(3, dresidual);
    },
  };
}

/**
 * Normalises each channel of `x [c, …]` over all its other extents, then scales and shifts by `weight [c]` and
 * `bias [c]` (Ioffe and Szegedy, 2015): biased variance inside, unbiased in the running estimate. Runs when it is read:
 * in the pass of the sparse convolution that makes `x`, if that has not run either, and together with an `add` and a
 * `relu` that follow directly. A sparse convolution behind the ReLU normalises as it loads.
 */
export function batchNorm(x: Tensor, weight: Tensor, bias: Tensor, options: BatchNormOptions): Tensor {
  notEmpty("batchNorm", x);
  const c = x.shape[0];
  for (const tensor of [weight, bias, options.runningMean, options.runningVariance])
    if (tensor.size !== c) throw expected("batchNorm", `${c} numbers per parameter for ${c} channels`, tensor.size);
  if (!x.deferred?.convolve) x.materialize();
  const { runningMean, runningVariance, training, epsilon = 1e-5, momentum = 0.1 } = options;
  let taken: BatchNorm["statistics"] | null = null;

  /** Takes the statistics; with `fused` also writes the output, and returns it. */
  const run = (fused: Fused | null): Tensor | null => {
    const { relu, residual, means = null } = fused ?? { relu: false, residual: null };
    residual?.materialize();
    const moves = training ? !taken : true;
    const statistics = taken ?? { mean: like(weight, [c]), inverseDeviation: like(weight, [c]) };
    taken = statistics;
    let output: Tensor | null = null;
    const norm = (raw: Tensor): BatchNormForward => {
      if (fused) output = like(raw);
      if (output && raw.channels) output.channels = emptyChannels(raw);
      // biome-ignore format: the struct's order
      return [weight.buffer, bias.buffer, statistics.mean.buffer, statistics.inverseDeviation.buffer, moves ? runningMean.buffer : null, moves ? runningVariance.buffer : null,
        epsilon, momentum, training, relu, residual?.buffer ?? null, ...given(residual?.channels), output?.buffer ?? null, ...given(output?.channels), means?.buffer ?? null];
    };
    if (x.deferred) x.materialize(({ convolve, compute }) => convolve?.(norm) ?? compute());
    else x.kernels.batch_norm_forward(x.buffer, given(x.channels)[0], c, norm(x));
    return output;
  };
  const compute = recordedAsNow((fused: Fused) => {
    const output = run(fused) as Tensor;
    const statistics = taken as BatchNorm["statistics"];
    return batchNormOp([x, weight, bias, fused.residual], { relu: fused.relu, training, statistics, output });
  });
  const source: Normalization = {
    x,
    weight,
    bias,
    training,
    statistics() {
      if (!taken) run(null);
      return taken as BatchNorm["statistics"];
    },
  };
  const deferred = (fused: Fused): Deferred => ({
    compute: () => compute(fused),
    norm: { ...fused, with: deferred, computeWith: (means) => compute({ ...fused, means }), source },
  });
  return Tensor.defer(x, deferred({ residual: null, relu: false }));
}
