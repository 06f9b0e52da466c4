import type { ImageInput } from "../compile/index.js";
import { expected } from "../errors.js";

/** An image as decoders and canvases give it: bytes [height][width][channels], of which an alpha channel is left out. */
export interface DecodedImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/**
 * One image or several: bytes from 0 to 255, which are normalised as in training, or floats [channels][height][width],
 * which are taken as they are. A flat array may hold several images, one after the other.
 */
export type Images = Pixels | DecodedImage | readonly (Pixels | DecodedImage)[];
export type Pixels = Uint8Array | Uint8ClampedArray | Float32Array;
/** How bytes are laid out: channel by channel in each pixel, or plane by plane. */
export type PixelLayout = "hwc" | "chw";

export interface PixelBlock {
  readonly pixels: Uint8Array | Uint8ClampedArray | Float32Array;
  readonly count: number;
}

/** All images in one array, checked against the size that the network takes. */
export function gatherPixels(images: Images, image: ImageInput): PixelBlock {
  const list = Array.isArray(images) ? images : [images as Pixels | DecodedImage];
  const parts = list.map((each: Pixels | DecodedImage) => flat(each, image));
  if (parts.length === 0) throw expected("run", "at least one image", "none");
  const [first] = parts;
  const isFloat = first instanceof Float32Array;
  if (parts.some((part) => part instanceof Float32Array !== isFloat))
    throw expected("run", "all images as bytes or all as floats", "both");
  const size = image.shape[0] * image.shape[1] * image.shape[2];
  const count = parts.reduce((sum, part) => sum + part.length / size, 0);
  if (parts.length === 1) return { pixels: first, count };
  const pixels = isFloat ? new Float32Array(count * size) : new Uint8Array(count * size);
  let at = 0;
  for (const part of parts) {
    pixels.set(part, at);
    at += part.length;
  }
  return { pixels, count };
}

function flat(image: Pixels | DecodedImage, { shape }: ImageInput): Pixels {
  const [channels, height, width] = shape;
  const size = channels * height * width;
  const wanted = `images of ${channels} × ${height} × ${width} numbers`;
  if (isPixels(image)) {
    if (image.length === 0 || image.length % size !== 0) throw expected("run", wanted, `${image.length} numbers`);
    return image;
  }
  if (!isPixels(image?.data) || image.data instanceof Float32Array)
    throw expected("run", "a Uint8Array, a Float32Array or { data, width, height }", typeof image);
  if (image.width !== width || image.height !== height)
    throw expected("run", `an image of ${width} × ${height} pixels`, `${image.width} × ${image.height}`, "resize it");
  const { data } = image;
  const given = data.length / (height * width);
  if (given === channels) return data;
  if (given !== channels + 1) throw expected("run", `${channels} channels, or one more for alpha`, given);
  const opaque = new Uint8Array(size);
  for (let i = 0, from = 0; i < size; from++) for (let c = 0; c < channels; c++) opaque[i++] = data[from * given + c];
  return opaque;
}

const isPixels = (value: unknown): value is Pixels =>
  value instanceof Uint8Array || value instanceof Uint8ClampedArray || value instanceof Float32Array;
