import type { MethodOptions, SparseMethod } from "../method.js";
import { force, iterSnip } from "../scores/force.js";
import { grasp } from "../scores/grasp.js";
import { magnitude } from "../scores/magnitude.js";
import { snip, snipIt } from "../scores/snip.js";
import { synflow } from "../scores/synflow.js";
import { chase } from "./chase.js";
import { dense } from "./dense.js";
import { dsr } from "./dsr.js";
import { gmp } from "./gmp.js";
import { granet } from "./granet.js";
import { mest, mestSoft } from "./mest.js";
import { rigl } from "./rigl.js";
import { riglOriginal } from "./rigl-original.js";
import { set } from "./set.js";
import { snfs } from "./snfs.js";
import { staticRandom } from "./static.js";
import { supTickets } from "./sup-tickets.js";
import { topKast } from "./top-kast.js";

export {
  chase,
  dense,
  dsr,
  force,
  gmp,
  granet,
  grasp,
  iterSnip,
  magnitude,
  mest,
  mestSoft,
  rigl,
  riglOriginal,
  set,
  snfs,
  snip,
  snipIt,
  staticRandom,
  supTickets,
  synflow,
  topKast,
};

/** Sparse methods by the name used on the command line. */
export const methods = {
  dense,
  static: staticRandom,
  magnitude,
  synflow,
  snip,
  grasp,
  "iter-snip": iterSnip,
  force,
  "snip-it": snipIt,
  set,
  rigl,
  "rigl-original": riglOriginal,
  granet,
  gmp,
  snfs,
  dsr,
  mest,
  "mest-soft": mestSoft,
  "top-kast": topKast,
  "sup-tickets": supTickets,
  chase,
} as const satisfies Record<string, (options: MethodOptions) => SparseMethod>;

export type MethodName = keyof typeof methods;
