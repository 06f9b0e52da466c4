import { expected } from "../errors.js";
import type { Graph } from "./graph.js";
import { interpretPlanes } from "./interpret.js";

/** Ranges seen, times this: other images go beyond, and in a sparse network what is cut off costs more than coarser steps. */
const HEADROOM = 1.5;

/** What the bytes of a plane stand for: scale · (q − zero). */
export interface PlaneScale {
  readonly scale: number;
  /** A byte. */
  readonly zero: number;
}

interface Range {
  readonly low: number;
  readonly high: number;
}

const widthOf = ({ low, high }: Range) => high - low;

/** The byte that stands for 0 in a channel of the image with this mean. */
export const imageZero = (mean: number): number => Math.min(255, Math.max(0, Math.round(255 * mean)));

/** The image as the graph reads it: (byte / 255 − mean) / std of its channel. */
export function normalized({ image: { shape, mean, std } }: Pick<Graph, "image">, bytes: Uint8Array): Float32Array {
  const area = shape[1] * shape[2];
  return Float32Array.from(bytes, (byte, i) => {
    const channel = Math.floor(i / area);
    return (byte / 255 - mean[channel]) / std[channel];
  });
}

/**
 * Scale and zero of every plane, so that its bytes hold 0 and reach half as far again as the values that it takes on any of
 * the images (bytes, `[c, h, w]`). Those of the image itself are its bytes as they come.
 */
export function calibrate(graph: Graph, images: readonly Uint8Array[]): Map<number, PlaneScale> {
  if (images.length === 0) throw expected("calibration", "at least one image", 0);
  const ranges = new Map<number, Range>();
  for (const image of images)
    for (const [plane, { values }] of interpretPlanes(graph, normalized(graph, image))) {
      let { low, high } = ranges.get(plane) ?? { low: 0, high: 0 };
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
      ranges.set(plane, { low, high });
    }
  const { mean, std } = graph.image;
  const scales = new Map<number, PlaneScale>();
  for (const [channel, value] of mean.entries())
    scales.set(channel, { scale: 1 / (255 * std[channel]), zero: imageZero(value) });
  const rangeOf = (plane: number) => ranges.get(plane) as Range;
  for (const step of graph.steps) {
    const widths = step.rows.map(({ plane }) => widthOf(rangeOf(plane))).filter((width) => width > 0);
    // A plane that no image excites gets the narrowest range beside it, so as not to coarsen what it is added to.
    const least = widths.reduce((a, b) => Math.min(a, b), widths[0] ?? 1);
    for (const row of step.rows) {
      const { low, high } = rangeOf(row.plane);
      const scale = ((high - low || least) * HEADROOM) / 255;
      const source = "input" in row ? row.input : row.residual;
      const beside = source && (scales.get(typeof source === "number" ? source : source.plane) as PlaneScale);
      if (step.op === "maxPool") scales.set(row.plane, beside as PlaneScale);
      else scales.set(row.plane, planeScale(low * HEADROOM, beside ? aligned(scale, beside.scale) : scale));
    }
  }
  return scales;
}

const planeScale = (low: number, scale: number): PlaneScale => ({ scale, zero: Math.round(-low / scale) });

/** The next coarser scale that is whole quarters of an octave from another: few different factors of residuals. */
const aligned = (scale: number, other: number): number => other * 2 ** (Math.ceil(4 * Math.log2(scale / other)) / 4);
