import type { Graph } from "../graph.js";
import { aliasResiduals } from "./alias-residuals.js";
import { dropUnneeded } from "./drop-unneeded.js";
import { foldConstants } from "./fold-constants.js";
import { foldLinear } from "./fold-linear.js";
import { pack } from "./pack.js";
import { pruneZeros } from "./prune-zeros.js";
import { roundToFloat32 } from "./round.js";

export type Pass = (graph: Graph) => Graph;

/** The passes in the order in which they run; each leaves the logits of every image as they are. */
export const passes: readonly { readonly name: string; readonly pass: Pass }[] = [
  { name: "fold BatchNorm, sums and ReLU", pass: foldLinear },
  { name: "drop zero weights", pass: pruneZeros },
  { name: "fold constant channels", pass: foldConstants },
  { name: "drop channels no logit needs", pass: dropUnneeded },
  { name: "alias passed-through channels", pass: (graph) => dropUnneeded(aliasResiduals(graph)) },
  { name: "pack and round", pass: (graph) => roundToFloat32(pack(graph)) },
];
