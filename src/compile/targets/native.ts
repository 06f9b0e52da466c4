import { encodeModel } from "../model-file/index.js";
import type { Target } from "./target.js";

/** The model file, for easting's own runtimes. */
export const native: Target = {
  name: "native",
  description: "model file for easting's runtime",
  extension: ".easting",
  int8: true,
  emit: (graph, { values, int8 }) => (int8 ? encodeModel(int8) : encodeModel(graph, { values })),
};
