import type { Entries } from "../graph.js";
import type { StructureReader, StructureWriter } from "./structure.js";

/** Smallest box that holds the taps: tap (dy, dx) has number (dy − top) · width + dx − left. */
export interface TapBox {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

type Tapped = Pick<Entries, "dy" | "dx"> & {
  readonly rows: readonly { readonly first: number; readonly end: number }[];
};

/** Smallest box around the taps of a convolution that has weights. */
export function tapBox(...steps: readonly Tapped[]): TapBox {
  let [top, left, bottom, right] = [127, 127, -128, -128];
  for (const { rows, dy, dx } of steps)
    for (const { first, end } of rows)
      for (let k = first; k < end; k++) {
        [top, bottom] = [Math.min(top, dy[k]), Math.max(bottom, dy[k])];
        [left, right] = [Math.min(left, dx[k]), Math.max(right, dx[k])];
      }
  return { top, left, height: bottom - top + 1, width: right - left + 1 };
}

export function encodeBox(structure: StructureWriter, { top, left, height, width }: TapBox): void {
  structure.integer("step", top);
  structure.integer("step", left);
  structure.natural("step", height);
  structure.natural("step", width);
}

export function decodeBox(structure: StructureReader): TapBox {
  const top = structure.integer("step", "first tap", 127);
  const left = structure.integer("step", "first tap", 127);
  return {
    top,
    left,
    height: structure.positive("step", "taps", 128 - top),
    width: structure.positive("step", "taps", 128 - left),
  };
}
