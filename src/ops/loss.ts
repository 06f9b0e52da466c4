import { expected } from "../errors.js";
import { defineOp, Tensor } from "../tensor/index.js";
import { like, notEmpty } from "./elementwise.js";

const crossEntropyOp = defineOp<[Tensor, Tensor], number, Tensor>("crossEntropy", {
  forward([logits, labels], smoothing) {
    const output = like(logits, [1]);
    const saved = like(logits);
    // biome-ignore format: the kernel's argument order
    logits.kernels.cross_entropy_forward(logits.buffer, labels.buffer, logits.shape[0], smoothing, output.buffer, saved.buffer);
    return { output, saved };
  },
  backward({ inputs: [logits, labels], attributes: smoothing, saved, gradient, into }) {
    const { tensor, accumulate } = into(0);
    // biome-ignore format: the kernel's argument order
    logits.kernels.cross_entropy_backward(saved.buffer, labels.buffer, gradient.buffer, logits.shape[0], smoothing, tensor.buffer, accumulate);
  },
});

function matching(where: string, logits: Tensor, labels: Tensor): void {
  if (logits.shape.length !== 2 || labels.size !== logits.shape[1])
    throw expected(where, "logits [classes, n] and n labels", `[${logits.shape.join(", ")}] and ${labels.size}`);
  notEmpty(where, logits);
}

/**
 * Mean over images of the softmax cross-entropy of `logits [classes, n]` with `labels [n]` (i32), in nats. With label
 * smoothing s the target is 1 − s on the label plus s / classes on every class (Szegedy et al., 2016).
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: { labelSmoothing?: number } = {}): Tensor {
  const { labelSmoothing = 0 } = options;
  matching("crossEntropy", logits, labels);
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw expected("crossEntropy", "label smoothing from 0 to below 1", labelSmoothing);
  return crossEntropyOp([logits, labels], labelSmoothing);
}

/** How many images have their label among the `top` largest logits; shape [1], i32. Ties go to the lower class. */
export function countCorrect(logits: Tensor, labels: Tensor, top = 1): Tensor {
  matching("countCorrect", logits, labels);
  const correct = Tensor.empty([1], { dtype: "i32", device: logits.device });
  logits.kernels.count_correct(logits.buffer, labels.buffer, logits.shape[0], top, correct.buffer);
  return correct;
}
