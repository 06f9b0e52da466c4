import { byScore, type Score } from "./by-score.js";
import { batchesOf, lossGradients } from "./images.js";
import { magnitudes, products } from "./products.js";

const ROUNDS = 10;
const densities = (density: number) => Array.from({ length: ROUNDS }, (_, round) => density ** ((round + 1) / ROUNDS));

/**
 * |w · ∂L/∂w| at the network that is left, by new training images in every round, BatchNorm with the statistics of the batch
 * (de Jorge et al., "Progressive skeletonization", 2021). `returns`: of all weights, with the values they began with.
 */
export const forceScore =
  (name: string, { returns, dtype = "f32" }: { returns: boolean; dtype?: "f32" | "f64" }): Score =>
  async (scored) => {
    const { network, weights, dense, round } = scored;
    const count = Math.max(1, Math.round((network.loader?.dataset.classes.length ?? 0) / 10));
    batchesOf(name, network, 1); // there must be images
    const options = { dtype, training: true, missing: returns };
    const gradients = await lossGradients(scored, weights, { first: round * count, count }, options);
    const values = returns ? dense : weights.map((weight) => weight.values);
    return gradients.map((gradient, l) => magnitudes(products(gradient, values[l])));
  };

/** Iterative SNIP: ten rounds, the density falling by the same factor in each. */
export const iterSnip = byScore("iter-snip", {
  score: forceScore("iter-snip", { returns: false }),
  densities,
  dtype: "f32",
});

/** FORCE: as iterative SNIP, but weights that left may return. */
export const force = byScore("force", {
  score: forceScore("force", { returns: true }),
  densities,
  returns: true,
  dtype: "f32",
});
