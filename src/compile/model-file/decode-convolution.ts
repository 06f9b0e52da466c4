import { sortEntries } from "../entries.js";
import type { Convolution, Extent } from "../graph.js";
import { biasGrain, type Int8Convolution } from "../int8-graph.js";
import { decodeBiases } from "./decode-bias.js";
import { ownEntries, sharedEntries } from "./decode-entries.js";
import { decodeInt8Readings, decodeReadings, decodeRequantizations } from "./decode-readings.js";
import { limits } from "./format.js";
import type { PlaneList } from "./plane-list.js";
import type { UsedTensor } from "./shared-tensor.js";
import type { ModelSource } from "./source.js";

/** What a row takes in memory, rounded up. */
const ROW = 200;

export function decodeRowCount(source: ModelSource, planes: PlaneList): number {
  const count = source.structure.positive("step", "count of rows", source.planes - planes.count);
  source.take(ROW * count);
  return count;
}

export function decodeExtent({ structure }: ModelSource): Extent {
  const height = structure.positive("step", "height", limits.extent);
  return { height, width: structure.positive("step", "width", limits.extent) };
}

/** A convolution with weights of its own, or, given `tensors`, with some of those of one. */
export function decodeConvolution(
  source: ModelSource,
  planes: PlaneList,
  tensors: readonly UsedTensor[] | null,
): Convolution | Int8Convolution {
  const { structure } = source;
  const integers = source.values === "int8";
  const count = decodeRowCount(source, planes);
  const extent = decodeExtent(source);
  const stride = structure.positive("step", "stride", limits.extent);
  const relu = integers || structure.natural("step", "ReLU", 1) === 1;
  if (tensors?.length === 0) throw source.fail("shared weights", "none");
  const { places, weights, starts } = tensors
    ? sharedEntries(source, planes, tensors, count)
    : ownEntries(source, planes, count);
  planes.extent(places.inputs, extent);
  const requantizations = integers ? decodeRequantizations(source, count) : [];
  const at = structure.ascending("row", "rows with a residual", count, count - 1);
  const residuals = integers
    ? decodeInt8Readings(
        source,
        planes,
        at.map((row) => requantizations[row]),
      )
    : decodeReadings(source, planes, at.length);
  const { height, width } = planes.extent(
    residuals.map(({ plane }) => plane),
    extent,
  );
  if (height !== extent.height || width !== extent.width)
    throw source.fail(`residuals of ${extent.height} × ${extent.width}`, `${height} × ${width}`);
  const residualOf = new Map(at.map((row, i) => [row, residuals[i]]));
  const biases = decodeBiases(source, count, extent, integers ? (row) => biasGrain(requantizations[row]) : null);
  const rows = biases.map((bias, channel) => {
    const { zero = 0, ...requantization } = requantizations[channel] ?? {};
    return {
      ...{ plane: planes.add(extent, zero), channel, first: starts[channel], end: starts[channel + 1] },
      ...(integers ? requantization : { scale: 1 }),
      ...{ bias, residual: residualOf.get(channel) ?? null },
    };
  });
  const common = { op: "convolution", ...extent, stride, tensor: null, rows, ...places, weights };
  const step = (integers ? common : { ...common, relu }) as unknown as Convolution;
  return tensors ? sortEntries(step) : step; // own entries come in order
}
