/** What the numbers of a program's rows are; runtime/kinds.h has them in the same order. */
export const kinds = [
  "input gap",
  "input",
  "input zero",
  "channel gap",
  "output",
  "output zero",
  "bordered",
  "layout",
  "multiplier",
  "shift",
  "bias",
  "has residual",
  "source",
  "source zero",
  "factor",
  "changed",
  "offset",
  "floored",
  "floor",
] as const;
export type Kind = (typeof kinds)[number];

/** A number of a row. An `input`, `output` or `source` is a plane's; its place and zero are up to who writes the program. */
export type Field = readonly [kind: Kind, value: number];
