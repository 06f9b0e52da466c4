export interface Prediction {
  readonly label: string;
  /** Of the class, as the network was trained. */
  readonly index: number;
  readonly probability: number;
}

export interface Classification extends Prediction {
  /** The most probable classes, this one first. */
  readonly top: readonly Prediction[];
  /** Before softmax, one per class. */
  readonly logits: Float32Array;
}

/** Softmax and the `count` largest logits; of equal ones the lower index first. */
export function classify(logits: Float32Array, classes: readonly string[], count: number): Classification {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const indices: number[] = [];
  for (let index = 0; index < logits.length; index++) {
    if (indices.length === count && !(logits[index] > logits[indices[count - 1]])) continue;
    let at = indices.length;
    while (at > 0 && logits[index] > logits[indices[at - 1]]) at--;
    indices.splice(at, 0, index);
    if (indices.length > count) indices.pop();
  }
  const top = indices.map((index) => ({
    label: classes[index],
    index,
    probability: Math.exp(logits[index] - largest) / sum,
  }));
  return { ...top[0], top, logits };
}
