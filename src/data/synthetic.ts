import { expected } from "../errors.js";
import { counterHash } from "./counter-hash.js";
import { type DataOptions, hashImages, type ImageDataset, memoryDataset, tenth } from "./dataset.js";
import { measure } from "./statistics.js";

export interface SyntheticOptions extends DataOptions {
  /** Default 10. */
  classes?: number;
  /** `[c, h, w]`, default `[3, 32, 32]`. */
  shape?: readonly [number, number, number];
  /** Training images, validation included; default 2,000. */
  count?: number;
  /** Default a fifth of `count`. */
  testCount?: number;
  /** Default 0. The same options give the same pixels on every machine. */
  seed?: number;
}

const grid = 4; // each class is a coarse grid of random levels, smoothly enlarged
const byteLimit = 2 * 2 ** 30;

/** Smooth pattern of one class, `[c][h][w]`, levels around 0. Only + - * / are used, so the bits are portable. */
function pattern(seed: number, label: number, [c, h, w]: readonly [number, number, number]): Float32Array {
  const out = new Float32Array(c * h * w);
  const level = (channel: number, y: number, x: number) =>
    (counterHash(seed, 1, label, channel, y * grid + x) & 255) - 127.5;
  for (let channel = 0; channel < c; channel++) {
    for (let y = 0; y < h; y++) {
      const gy = h > 1 ? (y * (grid - 1)) / (h - 1) : 0;
      const y0 = Math.min(Math.floor(gy), grid - 2);
      for (let x = 0; x < w; x++) {
        const gx = w > 1 ? (x * (grid - 1)) / (w - 1) : 0;
        const x0 = Math.min(Math.floor(gx), grid - 2);
        const top = level(channel, y0, x0) * (x0 + 1 - gx) + level(channel, y0, x0 + 1) * (gx - x0);
        const bottom = level(channel, y0 + 1, x0) * (x0 + 1 - gx) + level(channel, y0 + 1, x0 + 1) * (gx - x0);
        out[(channel * h + y) * w + x] = top * (y0 + 1 - gy) + bottom * (gy - y0);
      }
    }
  }
  return out;
}

/** A class pattern at a contrast of its own under uniform noise of +-96 levels. */
function render(seed: number, image: number, pattern: Float32Array, into: Uint8Array): void {
  const contrast = 0.5 + (counterHash(seed, 2, image) & 255) / 510;
  let bits = 0;
  for (let i = 0; i < into.length; i++) {
    bits = (i & 3) === 0 ? counterHash(seed, 3, image, i >>> 2) : bits >>> 8;
    const noise = ((bits & 255) - 127.5) * 0.75;
    into[i] = Math.min(255, Math.max(0, Math.round(127.5 + pattern[i] * contrast + noise)));
  }
}

function checkWhole(what: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw expected(`synthetic ${what}`, `a whole number of at least ${least}`, value);
  }
}

/** Learnable images made from a seed: no files, any shape, any number of classes. Labels cycle through the classes. */
export function syntheticDataset(options: SyntheticOptions = {}): ImageDataset {
  const { classes = 10, shape = [3, 32, 32] as const, count = 2000, seed = 0 } = options;
  const testCount = options.testCount ?? Math.max(1, Math.round(count / 5));
  checkWhole("classes", classes, 2);
  checkWhole("count", count, 2);
  checkWhole("testCount", testCount, 1);
  checkWhole("seed", seed, 0);
  if (shape.length !== 3) throw expected("synthetic shape", "[channels, height, width]", JSON.stringify(shape));
  for (const extent of shape) checkWhole("shape", extent, 1);

  const size = shape[0] * shape[1] * shape[2];
  const total = count + testCount;
  if (total * size > byteLimit) {
    throw expected(
      "synthetic",
      `at most ${byteLimit} bytes of pixels`,
      total * size,
      "ask for fewer or smaller images",
    );
  }
  const patterns = Array.from({ length: classes }, (_, label) => pattern(seed, label, shape));
  const pixels = new Uint8Array(total * size);
  const labels = Int32Array.from({ length: total }, (_, image) => image % classes);
  for (let image = 0; image < total; image++) {
    render(seed, image, patterns[labels[image]], pixels.subarray(image * size, (image + 1) * size));
  }
  const held = tenth(count);
  return memoryDataset(
    {
      name: "synthetic",
      classes: Array.from({ length: classes }, (_, label) => `class ${label}`),
      shape,
      ...measure(pixels.subarray(0, count * size), shape),
      augmentation: { pad: 0, mode: "zero", flip: false },
      hash: hashImages(pixels, labels),
      note: "synthetic images",
    },
    pixels,
    labels,
    { train: count - held, validation: held, test: testCount },
    options.validation,
  );
}
