import { byScore, type Scored } from "./by-score.js";
import { batchesOf, lossGradients } from "./images.js";
import { plus, products } from "./products.js";

const TEMPERATURE = 200;
/** Step of the difference of gradients, as a share of the norm of the weights: rounding and kinks of ReLU both stay far off. */
const STEP = 1e-7;

const fold = (arrays: readonly ArrayLike<number>[], step: (sum: number, x: number) => number, start: number) =>
  arrays.reduce((sum, array) => {
    let result = sum;
    for (let i = 0; i < array.length; i++) result = step(result, array[i]);
    return result;
  }, start);
const norm = (arrays: readonly ArrayLike<number>[]) => Math.sqrt(fold(arrays, (sum, x) => sum + x * x, 0));

/**
 * w · Hg, signed, with the gradient g of the loss at logits / 200 over ten images a class (Wang et al., "Picking winning
 * tickets before training by preserving gradient flow", 2020). H·g is the difference of gradients at w ± εg, in f64.
 */
export const graspProducts = async (scored: Scored): Promise<Float64Array[]> => {
  const { weights, network } = scored;
  const count = batchesOf("grasp", network, 10 * (network.loader?.dataset.classes.length ?? 0));
  const options = { dtype: "f64", training: false, temperature: TEMPERATURE } as const;
  const gradientAt = (tried: typeof weights) => lossGradients(scored, tried, { first: 0, count }, options);
  const gradient = await gradientAt(weights);
  const size = norm(gradient);
  if (size === 0) return gradient;
  const epsilon = (STEP * norm(weights.map(({ values }) => values))) / size;
  const moved = (by: number) =>
    weights.map(({ values, indices }, l) => ({ indices, values: plus(values, gradient[l], by) }));
  const [ahead, behind] = [await gradientAt(moved(epsilon)), await gradientAt(moved(-epsilon))];
  return ahead.map((g, l) => products(plus(g, behind[l], -1), weights[l].values).map((p) => p / (2 * epsilon)));
};

/** GraSP: one shot; the largest signed products stay. */
export const grasp = byScore("grasp", {
  score: async (scored) => {
    const products = await graspProducts(scored);
    const least = fold(products, Math.min, Infinity);
    return products.map((array) => array.map((product) => product - least));
  },
  densities: (density) => [density],
  dtype: "f64",
});
