// The model file; docs/model-file.md has it byte for byte. Little-endian:
//
//   0   magic "EASTMODL"
//   8   version, u16
//   10  type of the weights, u8: 0 f32, 1 f16, 2 int8
//   11  0
//   12  length of the whole file, u32
//   16  count of numbers, u32
//   20  count of weights, u32
//   24  length of the structure, u32
//   28  count of planes, the image's included, u32
//   32  numbers, f32: mean, std, factors, biases, offsets, floors
//   …   weights, then zeros up to a multiple of 4
//   …   structure: whole numbers, entropy-coded (structure.ts)
//   end − 4   CRC-32 (IEEE) of everything before, u32

export const MAGIC = "EASTMODL";
export const VERSION = 1;
export const HEADER = 32;

/** Of a graph in floats. */
export type WeightType = "f32" | "f16";
export const weightTypes: readonly { readonly name: WeightType; readonly bytes: number }[] = [
  { name: "f32", bytes: 4 },
  { name: "f16", bytes: 2 },
];

/** Of a file, numbered as here; weights in int8 are part of the structure. */
export type ValueType = WeightType | "int8";
export const valueTypes: readonly { readonly name: ValueType; readonly bytes: number }[] = [
  ...weightTypes,
  { name: "int8", bytes: 0 },
];

/** What a reader refuses to go beyond, whatever a file says. */
export const limits = {
  /** Bytes of a file. */
  file: 2 ** 30,
  /** Channels of the image and of all steps. */
  planes: 2 ** 16,
  /** Height and width. */
  extent: 4096,
  /** Pixels of all planes. */
  pixels: 2 ** 27,
  classes: 2 ** 16,
  /** Bytes of a class name. */
  name: 1024,
  /** Memory for what is read: 4 × the file and this. */
  memory: 12 * 2 ** 20,
} as const;

export const op = { convolution: 0, sharedConvolution: 1, maxPool: 2, averagePool: 3 } as const;
