/** Activations may be stored as bf16, the upper half of an f32: arithmetic on them is f32. */
export type Dtype = "f32" | "bf16" | "f64" | "i32" | "u8";
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** By type: its number in the addon, and the array in which JavaScript has it. */
export const dtypes = {
  f32: { code: 0, array: Float32Array },
  bf16: { code: 4, array: Float32Array }, // as it is read and written
  f64: { code: 1, array: Float64Array },
  i32: { code: 2, array: Int32Array },
  u8: { code: 3, array: Uint8Array },
} as const;

/** Whether numbers of this type can be computed with. */
export function isReal(dtype: Dtype): dtype is "f32" | "bf16" | "f64" {
  return dtype === "f32" || dtype === "bf16" || dtype === "f64";
}

/** The type in which activations of type `dtype` are computed with, and of what is computed from them but no activation. */
export const arithmetic = (dtype: Dtype): Dtype => (dtype === "bf16" ? "f32" : dtype);
