import { biasOf, type Convolution, type Graph, type Reading, type Row, type Step } from "../../src/compile/index.js";
import { hash32 } from "../numbers.js";

/**
 * A graph that no network would have: extents from 1 to 40, strides from 1 to 3, taps that reach far or never fall
 * inside, biases in bands, readings with offset and floor, convolutions and pools in any order.
 */
export function randomGraph(seed: number): Graph {
  let state = hash32(seed + 1);
  const below = (bound: number) => {
    state = hash32(state + 0x9e3779b9);
    return Math.floor((state / 2 ** 32) * bound);
  };
  const number = () => below(2001) / 1000 - 1;
  const range = (from: number, to: number) => from + below(to - from + 1);
  const [channels, height, width] = [range(1, 4), range(1, 40), range(1, 40)];
  let made = channels;
  let planes = Array.from({ length: channels }, (_, plane) => ({ plane, height, width }));
  const any = <T>(values: readonly T[]): T => values[below(values.length)];
  const reading = (plane: number): Reading =>
    below(2)
      ? { plane, offset: 0, floor: -Infinity }
      : { plane, offset: number(), floor: below(2) ? number() : -Infinity };

  const convolution = (height: number, width: number, stride: number, count: number): Convolution => {
    const entries: { input: number; dy: number; dx: number; weight: number }[] = [];
    const residuals = planes.filter((plane) => plane.height === height && plane.width === width);
    const rows = Array.from({ length: count }, (_, channel): Row => {
      const first = entries.length;
      for (let k = below(5); k > 0; k--)
        entries.push({ input: any(planes).plane, dy: range(-4, 5), dx: range(-4, 5), weight: number() });
      const bias = below(3)
        ? number()
        : biasOf(
            Float64Array.from({ length: height * width }, (_, i) => (i % width ? 0.5 : Math.floor(i / width) % 3)),
            height,
            width,
          );
      const residual = residuals.length > 0 && below(2) ? reading(any(residuals).plane) : null;
      return { plane: made++, channel, first, end: entries.length, scale: 1, bias, residual };
    });
    return {
      ...{ op: "convolution", height, width, stride, relu: below(2) === 1, tensor: null, rows },
      inputs: Int32Array.from(entries, ({ input }) => input),
      dy: Int8Array.from(entries, ({ dy }) => dy),
      dx: Int8Array.from(entries, ({ dx }) => dx),
      weights: Float32Array.from(entries, ({ weight }) => weight),
    };
  };

  const steps: Step[] = [];
  const add = (step: Step) => {
    steps.push(step);
    planes = [...planes, ...step.rows.map(({ plane }) => ({ plane, height: step.height, width: step.width }))].slice(
      -12,
    );
  };
  for (let count = range(1, 5); count > 0; count--) {
    const from = any(planes);
    const [kernel, stride] = [range(1, 3), range(1, 3)];
    const padding = below(kernel);
    const out = (extent: number) => Math.floor((extent + 2 * padding - kernel) / stride) + 1;
    const inputs = planes.filter((plane) => plane.height === from.height && plane.width === from.width);
    if (below(4) === 0 && out(from.height) > 0 && out(from.width) > 0) {
      const rows = inputs.map(({ plane }, channel) => ({ plane: made++, channel, input: plane }));
      add({ op: "maxPool", height: out(from.height), width: out(from.width), kernel, stride, padding, rows });
    } else if (below(2)) add(convolution(from.height, from.width, 1, range(1, 6)));
    else add(convolution(range(1, 20), range(1, 20), stride, range(1, 6)));
  }
  const from = any(planes);
  const pooled = planes.filter((plane) => plane.height === from.height && plane.width === from.width);
  add({
    ...{ op: "averagePool", height: 1, width: 1 },
    rows: pooled.map(({ plane }, channel) => ({ plane: made++, channel, input: reading(plane) })),
  });
  add({ ...convolution(1, 1, 1, 3), relu: false });
  return {
    image: { shape: [channels, height, width], mean: Array(channels).fill(0.5), std: Array(channels).fill(0.25) },
    classes: ["a", "b", "c"],
    steps,
  };
}
