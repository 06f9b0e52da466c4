/** a · b elementwise. */
export function products(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  const result = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = a[i] * b[i];
  return result;
}

/** |a|. */
export function magnitudes(a: ArrayLike<number>): Float64Array {
  const result = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = Math.abs(a[i]);
  return result;
}

/** a + factor · b elementwise. */
export function plus(a: ArrayLike<number>, b: ArrayLike<number>, factor: number): Float64Array {
  const result = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = a[i] + factor * b[i];
  return result;
}

/** The values at these positions. */
export function at(values: ArrayLike<number>, positions: Int32Array): Float64Array {
  const result = new Float64Array(positions.length);
  for (let k = 0; k < positions.length; k++) result[k] = values[positions[k]];
  return result;
}
