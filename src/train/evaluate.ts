import type { Loader, Split } from "../data/index.js";
import type { Module } from "../nn/index.js";
import { countCorrect, crossEntropy } from "../ops/index.js";
import { noGradient, scope, synchronize } from "../tensor/index.js";

export interface Evaluation {
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** Fraction of images whose label has the largest logit. */
  readonly accuracy: number;
  readonly count: number;
}

/** Loss and accuracy of a network in evaluation mode over one split. Leaves the training mode as it was. */
export async function evaluate(model: Module, loader: Loader, split: Split): Promise<Evaluation> {
  const { training } = model;
  model.eval();
  let loss = 0;
  let correct = 0;
  try {
    for (let index = 0; index < loader.batches(split); index++) {
      const batch = await loader.plain(split, index);
      const results = scope(() =>
        noGradient(() => {
          const logits = model.forward(batch.images);
          return [crossEntropy(logits, batch.labels), countCorrect(logits, batch.labels)] as const;
        }),
      );
      await synchronize();
      loss += results[0].item() * batch.count;
      correct += results[1].item();
      for (const tensor of [...results, batch.images, batch.labels]) tensor.dispose();
    }
  } finally {
    model.train(training);
  }
  const { count } = loader.dataset[split];
  return { loss: loss / count, accuracy: correct / count, count };
}
