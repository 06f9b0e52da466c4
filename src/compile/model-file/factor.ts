import type { Requantization } from "../int8-graph.js";

const QUARTERS = [1, 1.189207115002721, Math.SQRT2, 1.681792830507429];

/** round(2^(exponent / 4) · 2^shift / multiplier): the factor of a residual whose plane is so many quarters of an octave coarser. */
export function expectedFactor(exponent: number, { multiplier, shift }: Requantization): number {
  const octave = Math.floor(exponent / 4);
  return Math.round((QUARTERS[exponent - 4 * octave] * 2 ** (octave + shift)) / multiplier);
}
