import { sum } from "../../ops/index.js";
import { Tensor } from "../../tensor/index.js";
import { byScore, type Score } from "./by-score.js";
import { magnitudes, products } from "./products.js";
import { trialGradients } from "./trial.js";

/**
 * |w · ∂R/∂w| with R the sum of the logits of an all-ones image, every number of the network replaced by its absolute
 * value, and BatchNorm in evaluation mode (Tanaka et al., "Pruning neural networks without any data", 2020). In f64: R is
 * about 10⁵⁴ for ResNet-34, beyond f32.
 */
export const synflowScore: Score = async ({ network, layers, weights }) => {
  const { model, imageShape } = network;
  const positive = weights.map(({ values, indices }) => ({ indices, values: magnitudes(values) }));
  const image = Tensor.full([...imageShape, 1], 1, { dtype: "f64" });
  const flow = () => sum(model.forward(image));
  const gradients = trialGradients(model, layers, positive, flow, { dtype: "f64", training: false, absolute: true });
  image.dispose();
  return gradients.map((gradient, l) => products(gradient, positive[l].values));
};

const ROUNDS = 100;

/** SynFlow: 100 rounds, the density falling by the same factor in each. */
export const synflow = byScore("synflow", {
  score: synflowScore,
  densities: (density) => Array.from({ length: ROUNDS }, (_, round) => density ** ((round + 1) / ROUNDS)),
  dtype: "f64",
});
