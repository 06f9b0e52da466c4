// Protocol Buffers, writing alone: a message is its fields one after another, each a tag, number · 8 + wire type, and a
// value. ONNX and TensorBoard need four wire types, so this is less than the schema and the runtime of a library would be.

const encoder = new TextEncoder();

/** Base 128, lowest first; negative numbers as 64-bit two's complement. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

/** A field of type int32, int64 or enum. */
export const integer = (field: number, value: number): Uint8Array =>
  Uint8Array.from([...varint(field * 8), ...varint(value)]);

/** A field of type string, bytes, or message. */
export function bytes(field: number, value: Uint8Array | string): Uint8Array {
  const content = typeof value === "string" ? encoder.encode(value) : value;
  return concatenate([Uint8Array.from([...varint(field * 8 + 2), ...varint(content.length)]), content]);
}

/** A field of type double. */
export const double = (field: number, value: number): Uint8Array =>
  concatenate([Uint8Array.from(varint(field * 8 + 1)), new Uint8Array(Float64Array.of(value).buffer)]);

/** A field of type float. */
export const float = (field: number, value: number): Uint8Array =>
  concatenate([Uint8Array.from(varint(field * 8 + 5)), new Uint8Array(Float32Array.of(value).buffer)]);

/** A repeated field of type double, packed. */
export const doubles = (field: number, values: readonly number[]): Uint8Array =>
  bytes(field, new Uint8Array(Float64Array.from(values).buffer));

/** A field that holds a message of these fields. */
export const message = (field: number, ...fields: readonly Uint8Array[]): Uint8Array =>
  bytes(field, concatenate(fields));

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
