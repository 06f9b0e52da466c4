/**
 * @typedef {import("./runtime.js").Loaded} Loaded
 * @typedef {import("./runtime.js").Plane} Plane
 *
 * A connection between two channels: all weights of one row that read one plane, or a channel that is passed on.
 * @typedef {{ from: number, to: number, step: number, weight: number, residual: boolean }} Connection
 */

/** Connections of a network, row by row. @param {Loaded} program @returns {Connection[]} */
export function connectionsOf({ image, steps, counts, sources, inputs, weights }) {
  /** @type {Connection[]} */
  const found = [];
  let [row, tap] = [0, 0];
  steps.forEach(({ rows }, step) => {
    for (const end = row + rows; row < end; row++) {
      const to = image.shape[0] + row;
      if (sources[row] >= 0) found.push({ from: sources[row], to, step, weight: 1, residual: true });
      /** @type {Map<number, number>} */
      const sums = new Map();
      for (const stop = tap + counts[row]; tap < stop; tap++)
        sums.set(inputs[tap], (sums.get(inputs[tap]) ?? 0) + weights[tap]);
      for (const [from, weight] of sums) found.push({ from, to, step, weight, residual: false });
    }
  });
  return found;
}

/** Mean size of each plane's values. @param {readonly Plane[]} planes @param {Float32Array} values */
export const strengths = (planes, values) =>
  Float32Array.from(planes, ({ start, height, width, pitch }) => {
    let sum = 0; // zeros between rows add nothing
    for (let i = start; i < start + height * pitch; i++) sum += Math.abs(values[i]);
    return sum / (height * width);
  });

/**
 * How much of one logit comes through each connection: from the logit backwards, the flow through a channel is divided among
 * its inputs by |weight| times mean |activation|.
 * @param {readonly Connection[]} connections @param {Float32Array} strength of each plane @param {number} logit
 */
export function flowTo(connections, strength, logit) {
  const carried = connections.map(({ from, weight }) => Math.abs(weight) * strength[from]);
  const arriving = new Float32Array(strength.length);
  connections.forEach(({ to }, i) => {
    arriving[to] += carried[i];
  });
  const through = new Float32Array(strength.length);
  through[logit] = 1;
  const flow = new Float32Array(connections.length);
  for (let i = connections.length - 1; i >= 0; i--) {
    const { from, to } = connections[i];
    if (through[to] === 0 || arriving[to] === 0) continue;
    flow[i] = (through[to] * carried[i]) / arriving[to];
    through[from] += flow[i];
  }
  return { flow, through };
}
