import { byScore, type Score, type Scored } from "./by-score.js";
import { batchesOf, lossGradients } from "./images.js";
import { magnitudes, products } from "./products.js";

const classes = ({ network }: Scored) => network.loader?.dataset.classes.length ?? 0;

/** |w · ∂L/∂w| over ten images a class, BatchNorm in evaluation mode (Lee et al., "SNIP", 2019). */
export const snipScore =
  (name: string, dtype: "f32" | "f64" = "f32"): Score =>
  async (scored) => {
    const count = batchesOf(name, scored.network, 10 * classes(scored));
    const batches = { first: scored.round * count, count };
    const gradients = await lossGradients(scored, scored.weights, batches, { dtype, training: false });
    return gradients.map((gradient, l) => magnitudes(products(gradient, scored.weights[l].values)));
  };

/** SNIP: one shot. */
export const snip = byScore("snip", { score: snipScore("snip"), densities: (density) => [density], dtype: "f32" });

/** SNIP-it (Verdenius et al., 2020): SNIP in rounds that each go half the way to the sparsity, from 50 % on, then all of it. */
export const snipIt = byScore("snip-it", {
  score: snipScore("snip-it"),
  densities: (density) => [
    ...Array.from({ length: 5 }, (_, i) => density + Math.max(0, 0.5 - density) * 0.5 ** i),
    density,
  ],
  dtype: "f32",
});
