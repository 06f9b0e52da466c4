import { type Convolution, type Extent, effectiveWeights } from "../../graph.js";

interface Axis {
  readonly input: number;
  readonly output: number;
  readonly kernel: number;
  readonly stride: number;
  /** Padding before the first pixel. */
  readonly start: number;
}

/** Padding behind the last pixel with which a window of ONNX gives at least `output` pixels. */
export const endPadding = ({ input, output, kernel, stride, start }: Axis): number =>
  Math.max(0, (output - 1) * stride + kernel - start - input);

const outputs = (axis: Axis) =>
  Math.floor((axis.input + axis.start + endPadding(axis) - axis.kernel) / axis.stride) + 1;

/** The smallest window over taps first … last that gives exactly `output` pixels. */
function window(first: number, last: number, axis: Omit<Axis, "kernel" | "start">) {
  const start = Math.max(0, -first);
  let kernel = last + start + 1;
  while (outputs({ ...axis, kernel, start }) > axis.output) kernel++;
  return { kernel, start, end: endPadding({ ...axis, kernel, start }) };
}

/** The weights of a convolution as [rows, inputs, kernel height, kernel width], and ONNX's `pads` for them. */
export function denseWeight(step: Convolution, inputs: readonly number[], input: Extent) {
  const { rows, stride, dy, dx } = step;
  const taps = rows.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, k) => first + k));
  const axis = (offsets: Int8Array, extent: keyof Extent) => {
    const used = taps.map((k) => offsets[k]);
    const [first, last] = [used.reduce((a, b) => Math.min(a, b)), used.reduce((a, b) => Math.max(a, b))];
    return window(first, last, { input: input[extent], output: step[extent], stride });
  };
  const [y, x] = [axis(dy, "height"), axis(dx, "width")];
  const shape = [rows.length, inputs.length, y.kernel, x.kernel];
  const values = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
  const channel = new Map(inputs.map((plane, i) => [plane, i]));
  rows.forEach((row, o) => {
    effectiveWeights(step, row).forEach((weight, i) => {
      const k = row.first + i;
      const plane = o * inputs.length + (channel.get(step.inputs[k]) as number);
      values[(plane * y.kernel + dy[k] + y.start) * x.kernel + dx[k] + x.start] += weight;
    });
  });
  return { weight: { shape, values }, pads: [y.start, x.start, y.end, x.end] };
}
