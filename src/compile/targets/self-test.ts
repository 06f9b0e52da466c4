import type { ImageInput } from "../graph.js";

/** Images for which a compiled model knows its logits: enough to notice a wrong build, few enough to keep on a board. */
const COUNT = 3;

/**
 * Their pixels `[c, h, w]`. Those of image v are, pixel by pixel and in it channel by channel, the high bytes of
 * x ← 1664525 x + 1013904223 mod 2³², from x = v on.
 */
export const testImages = ({ shape: [channels, height, width] }: ImageInput): Uint8Array[] =>
  Array.from({ length: COUNT }, (_, v) => {
    const pixels = new Uint8Array(channels * height * width);
    let x = v;
    for (let i = 0; i < height * width; i++)
      for (let c = 0; c < channels; c++) {
        x = (Math.imul(1664525, x) + 1013904223) >>> 0;
        pixels[c * height * width + i] = x >>> 24;
      }
    return pixels;
  });
