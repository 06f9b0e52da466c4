import { gunzipSync } from "node:zlib";
import { type DataOptions, hashImages, type ImageDataset, memoryDataset } from "./dataset.js";
import { digitsData } from "./digits-data.js";
import { measure } from "./statistics.js";

export { digitsAttribution } from "./digits-data.js";

const side = 8;
const size = side * side;

/** 1,797 handwritten digits of 8 x 8, inside the package: the first 1,293 train, then 144 validation, 360 test. */
export function digitsDataset(options: DataOptions = {}): ImageDataset {
  const records = gunzipSync(Buffer.from(digitsData, "base64"));
  const count = records.length / (size + 1);
  const pixels = new Uint8Array(count * size);
  const labels = new Int32Array(count);
  for (let image = 0; image < count; image++) {
    const at = image * (size + 1);
    for (let i = 0; i < size; i++) pixels[image * size + i] = Math.round((records[at + i] * 255) / 16);
    labels[image] = records[at + size];
  }
  const shape = [1, side, side] as const;
  return memoryDataset(
    {
      name: "digits",
      classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
      shape,
      ...measure(pixels.subarray(0, 1437 * size), shape),
      augmentation: { pad: 1, mode: "zero", flip: false },
      hash: hashImages(pixels, labels),
      note: null,
    },
    pixels,
    labels,
    { train: 1293, validation: 144, test: 360 },
    options.validation,
  );
}
