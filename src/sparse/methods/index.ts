import type { DropAndGrowOptions } from "../drop-and-grow.js";
import type { SparseMethod } from "../method.js";
import { dense } from "./dense.js";
import { rigl } from "./rigl.js";
import { set } from "./set.js";
import { staticRandom } from "./static.js";

export { dense, rigl, set, staticRandom };

/** Sparse methods by the name used on the command line. */
export const methods = { dense, static: staticRandom, set, rigl } as const satisfies Record<
  string,
  (options: DropAndGrowOptions) => SparseMethod
>;

export type MethodName = keyof typeof methods;
