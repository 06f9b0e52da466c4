/** Scrambles 32 bits (the finalizer of MurmurHash3): every input bit reaches every output bit. */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** An unsigned 32-bit number that depends on the words alone: the same on every machine, in any call order. */
export function counterHash(...words: number[]): number {
  let state = 0x9e3779b9;
  for (const word of words) state = mix((Math.imul(state, 5) + word + 0x6c62272e) | 0);
  return mix(state);
}

/** The integers 0 … count-1 in an order fixed by `seed` (Fisher-Yates). */
export function seededOrder(seed: number, count: number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((counterHash(seed, i) / 2 ** 32) * (i + 1));
    const swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order;
}
