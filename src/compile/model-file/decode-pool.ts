import type { AveragePool, MaxPool } from "../graph.js";
import type { Int8AveragePool } from "../int8-graph.js";
import { decodeExtent, decodeRowCount } from "./decode-convolution.js";
import { decodeInt8Readings, decodeReadings, decodeRequantizations } from "./decode-readings.js";
import { limits } from "./format.js";
import type { PlaneList } from "./plane-list.js";
import type { ModelSource } from "./source.js";

const extent = { height: 1, width: 1 } as const;

export function decodeAveragePool(source: ModelSource, planes: PlaneList): AveragePool | Int8AveragePool {
  const count = decodeRowCount(source, planes);
  const common = { op: "averagePool", ...extent } as const;
  const check = (inputs: readonly { readonly plane: number }[]) =>
    planes.extent(
      inputs.map(({ plane }) => plane),
      extent,
    );
  if (source.values !== "int8") {
    const inputs = decodeReadings(source, planes, count);
    check(inputs);
    return { ...common, rows: inputs.map((input, channel) => ({ plane: planes.add(extent), channel, input })) };
  }
  const requantizations = decodeRequantizations(source, count);
  const inputs = decodeInt8Readings(source, planes, requantizations);
  check(inputs);
  const rows = inputs.map((input, channel) => {
    const { multiplier, shift, zero } = requantizations[channel];
    return { plane: planes.add(extent, zero), channel, multiplier, shift, input };
  });
  return { ...common, rows };
}

export function decodeMaxPool(source: ModelSource, planes: PlaneList): MaxPool {
  const { structure } = source;
  const count = decodeRowCount(source, planes);
  const extent = decodeExtent(source);
  const stride = structure.positive("step", "stride", limits.extent);
  const kernel = structure.positive("step", "kernel", limits.extent);
  const padding = structure.natural("step", "padding", Math.floor(kernel / 2));
  const inputs = structure.integers("plane", "inputs", count, planes.count - 1);
  const from = planes.extent(inputs, extent);
  const touches = (size: number, input: number) => (size - 1) * stride - padding < input && kernel - padding > 0;
  if (!touches(extent.height, from.height) || !touches(extent.width, from.width))
    throw source.fail("a max-pool whose windows lie over its input", "one beyond it");
  const rows = inputs.map((input, channel) => ({ plane: planes.add(extent, planes.zero(input)), channel, input }));
  return { op: "maxPool", ...extent, kernel, stride, padding, rows };
}
