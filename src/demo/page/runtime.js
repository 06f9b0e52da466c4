/**
 * @typedef {import("../program.js").Program} Program
 * @typedef {Program & { [array in "counts" | "layout" | "sources" | "inputs"]: Int32Array }
 *   & { [array in "offsets" | "floors" | "biases" | "weights"]: Float32Array }
 *   & { [array in "dy" | "dx"]: Int8Array }} Loaded
 * @typedef {{ start: number, height: number, width: number, pitch: number }} Plane
 */

const arrayTypes = { f32: Float32Array, i32: Int32Array, i8: Int8Array };

/** Unpacks the arrays of a program. @param {Program} program @returns {Promise<Loaded>} */
export async function unpack(program) {
  const packed = Uint8Array.from(atob(program.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = await new Response(stream).arrayBuffer();
  let at = 0;
  const arrays = program.arrays.map(([name, type, count]) => {
    const array = new arrayTypes[type](bytes, at, count);
    at += array.byteLength;
    return [name, array];
  });
  return /** @type {Loaded} */ ({ ...program, ...Object.fromEntries(arrays) });
}

/**
 * A network that keeps every plane of the last image, to be looked at. Rows of a plane are `pitch` apart: between and around
 * them are as many zeros as taps reach outside, so that at stride 1 a weight's share is one run over memory.
 * @param {Loaded} program
 */
export function createNetwork(program) {
  const { image, steps, layouts, counts, layout, sources, offsets, floors, biases, inputs, weights, dy, dx } = program;
  const [channels, imageHeight, imageWidth] = image.shape;
  const { planes, size } = place(program);
  const values = new Float32Array(size);
  const logits = planes.slice(planes.length - (steps.at(-1)?.rows ?? 0)).map(({ start }) => start);

  /** Writes a row's bias; returns where the next one's stands. @param {Plane} plane @param {number} row @param {number} at */
  function writeBias({ start, height, width, pitch }, row, at) {
    if (layout[row] < 0) {
      values.fill(biases[at], start, start + (height - 1) * pitch + width);
      return at + 1;
    }
    const { rows, columns } = layouts[layout[row]];
    for (let r = 0, y = 0; r < rows.length; r++)
      for (; y < rows[r]; y++)
        for (let c = 0, x = 0; c < columns.length; x = columns[c++])
          values.fill(biases[at + r * columns.length + c], start + y * pitch + x, start + y * pitch + columns[c]);
    return at + rows.length * columns.length;
  }

  /** Adds the shares of weights k … end − 1, at stride 1; Math.fround keeps the arithmetic in f32. @param {Plane} plane @param {number} k @param {number} end */
  function addRuns({ start, height, width, pitch }, k, end) {
    const stop = start + (height - 1) * pitch + width;
    /** @param {number} tap */
    const shift = (tap) => planes[inputs[tap]].start + dy[tap] * pitch + dx[tap] - start;
    for (; k + 3 < end; k += 4) {
      const w0 = weights[k];
      const w1 = weights[k + 1];
      const w2 = weights[k + 2];
      const w3 = weights[k + 3];
      let i0 = start + shift(k);
      let i1 = start + shift(k + 1);
      let i2 = start + shift(k + 2);
      let i3 = start + shift(k + 3);
      for (let o = start; o < stop; o++) {
        const left = Math.fround(Math.fround(w0 * values[i0++]) + Math.fround(w1 * values[i1++]));
        const right = Math.fround(Math.fround(w2 * values[i2++]) + Math.fround(w3 * values[i3++]));
        values[o] = Math.fround(values[o] + Math.fround(left + right));
      }
    }
    for (; k < end; k++) {
      const weight = weights[k];
      let i = start + shift(k);
      for (let o = start; o < stop; o++) values[o] = Math.fround(values[o] + Math.fround(weight * values[i++]));
    }
  }

  /** Adds the share of weight k at any stride, row by row. @param {Plane} plane @param {number} stride @param {number} k */
  function addStrided({ start, height, width, pitch }, stride, k) {
    const from = planes[inputs[k]];
    const weight = weights[k];
    const [down, right] = [dy[k], dx[k]];
    const top = Math.max(0, Math.ceil(-down / stride));
    const bottom = Math.min(height, Math.floor((from.height - 1 - down) / stride) + 1);
    const left = Math.max(0, Math.ceil(-right / stride));
    const end = Math.min(width, Math.floor((from.width - 1 - right) / stride) + 1);
    for (let y = top; y < bottom; y++) {
      let i = from.start + (y * stride + down) * from.pitch + left * stride + right;
      const last = start + y * pitch + end;
      for (let o = start + y * pitch + left; o < last; o++, i += stride)
        values[o] = Math.fround(values[o] + Math.fround(weight * values[i]));
    }
  }

  /** @param {Plane} plane @param {Plane} from @param {Program["steps"][number]} step */
  function maxPool({ start, height, width, pitch }, from, { kernel, stride, padding }) {
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const [top, left] = [y * stride - padding, x * stride - padding];
        let largest = Number.NEGATIVE_INFINITY;
        for (let row = Math.max(0, top); row < Math.min(from.height, top + kernel); row++)
          for (let column = Math.max(0, left); column < Math.min(from.width, left + kernel); column++)
            largest = Math.max(largest, values[from.start + row * from.pitch + column]);
        values[start + y * pitch + x] = largest;
      }
  }

  /** Mean of max(value + offset, floor). @param {Plane} plane @param {number} offset @param {number} floor */
  function mean({ start, height, width, pitch }, offset, floor) {
    let sum = 0;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) sum += Math.max(values[start + y * pitch + x] + offset, floor);
    return sum / (height * width);
  }

  /** Residual and ReLU, then zeros between the rows again. @param {Plane} plane @param {Plane | undefined} source @param {number} offset @param {number} floor @param {boolean} relu */
  function finish({ start, height, width, pitch }, source, offset, floor, relu) {
    const stop = start + (height - 1) * pitch + width;
    if (source && offset === 0 && floor === Number.NEGATIVE_INFINITY)
      for (let o = start, i = source.start; o < stop; o++, i++) values[o] = Math.fround(values[o] + values[i]);
    else if (source)
      for (let o = start, i = source.start; o < stop; o++, i++) values[o] += Math.max(values[i] + offset, floor);
    if (relu) for (let o = start; o < stop; o++) values[o] = Math.max(values[o], 0);
    if (pitch > width)
      for (let y = 1; y < height; y++) values.fill(0, start + y * pitch - pitch + width, start + y * pitch);
  }

  return {
    planes,
    values,
    /** Logits of a normalised image [c, h, w]. @param {Float32Array} pixels */
    run(pixels) {
      for (let c = 0; c < channels; c++)
        for (let y = 0; y < imageHeight; y++) {
          const from = (c * imageHeight + y) * imageWidth;
          values.set(pixels.subarray(from, from + imageWidth), planes[c].start + y * planes[c].pitch);
        }
      let [row, tap, bias] = [0, 0, 0];
      for (const step of steps)
        for (const end = row + step.rows; row < end; row++) {
          const plane = planes[channels + row];
          const source = planes[sources[row]];
          if (step.op === "maxPool") maxPool(plane, source, step);
          else if (step.op === "averagePool") values[plane.start] = mean(source, offsets[row], floors[row]);
          else {
            bias = writeBias(plane, row, bias);
            const stop = tap + counts[row];
            const { height, width } = planes[inputs[tap]] ?? plane;
            if (step.stride === 1 && height === plane.height && width === plane.width) addRuns(plane, tap, stop);
            else for (let k = tap; k < stop; k++) addStrided(plane, step.stride, k);
            tap = stop;
            finish(plane, source, offsets[row], floors[row], step.relu);
          }
        }
      return Float32Array.from(logits, (at) => values[at]);
    },
  };
}

/** A place for each plane. @param {Loaded} program */
function place({ image, steps, counts, inputs, dy, dx }) {
  const [channels, height, width] = image.shape;
  const extents = Array.from({ length: channels }, () => ({ height, width }));
  for (const { height, width, rows } of steps) for (let row = 0; row < rows; row++) extents.push({ height, width });
  /** How far taps reach outside planes of one extent. @type {Map<string, number>} */
  const halos = new Map();
  const total = counts.reduce((sum, count) => sum + count, 0);
  for (let k = 0; k < total; k++) {
    const extent = `${extents[inputs[k]].height} ${extents[inputs[k]].width}`;
    halos.set(extent, Math.max(halos.get(extent) ?? 0, Math.abs(dy[k]), Math.abs(dx[k])));
  }
  let size = 0;
  const planes = extents.map(({ height, width }) => {
    const halo = halos.get(`${height} ${width}`) ?? 0;
    const pitch = width + halo;
    const start = size + halo * pitch + halo;
    size = start + height * pitch + halo * pitch + halo;
    return { start, height, width, pitch };
  });
  return { planes, size };
}
