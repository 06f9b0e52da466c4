import { byScore } from "./by-score.js";

/** The largest initial weights of the network. */
export const magnitude = byScore("magnitude", {
  score: async ({ dense }) => dense,
  densities: (density) => [density],
  dtype: "f32",
});
