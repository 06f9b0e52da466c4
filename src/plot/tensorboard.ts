import { bytes, concatenate, double, doubles, float, integer, message } from "../protobuf.js";
import type { Histogram } from "../sparse/index.js";
import { only, type Run } from "./run.js";
import { tfRecord } from "./tfrecord.js";
import { valuesOf } from "./values.js";

// Fields of TensorFlow's event.proto and summary.proto that are written here:
// Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
// Summary { repeated Value value = 1; }  Value { string tag = 1; float simple_value = 2; HistogramProto histo = 5; }
// HistogramProto { double min = 1, max = 2, num = 3, sum = 4, sum_squares = 5; repeated double bucket_limit = 6, bucket = 7; }

/** The bytes of a TensorBoard event file: every number in a run's events as a scalar, its histograms as histograms. */
export function tensorboard(run: Run): Uint8Array {
  const timeOf = clock(run);
  const records = run.events.flatMap((event) => {
    const values = event.type === "histograms" ? histogramsOf(event.layers) : scalarsOf(event);
    if (values.length === 0) return [];
    const { step } = event;
    return [concatenate([double(1, timeOf(step)), integer(2, step), message(5, ...values)])];
  });
  const version = concatenate([double(1, run.begun), bytes(3, "brain.Event:2")]);
  return concatenate([version, ...records].map(tfRecord));
}

/** Seconds since 1970 after a step: an epoch's steps share its time evenly. */
function clock(run: Run): (step: number) => number {
  const times = [run.begun];
  for (const { seconds } of only(run, "epoch")) times.push((times.at(-1) as number) + seconds);
  return (step) => {
    const epochs = Math.min(step / run.stepsPerEpoch, times.length - 1);
    const whole = Math.floor(epochs);
    const [from, to = from] = times.slice(whole);
    return from + (epochs - whole) * (to - from);
  };
}

type Event = Run["events"][number];

/** Tags group by what stands before the slash: the event, and for numbers of layers also which number. */
const scalarsOf = (event: Event): Uint8Array[] =>
  valuesOf(event).map(({ key, value, layer }) => {
    const tag = layer === null ? `${event.type}/${key}` : `${event.type} ${key}/${layer}`;
    return message(1, bytes(1, tag), float(2, value));
  });

interface LayerHistograms {
  readonly name: string;
  readonly weights: Histogram;
  readonly gradients: Histogram | null;
}

const histogramsOf = (layers: readonly unknown[]): Uint8Array[] =>
  (layers as readonly LayerHistograms[]).flatMap(({ name, weights, gradients }) => [
    message(1, bytes(1, `weights/${name}`), histo(weights)),
    ...(gradients ? [message(1, bytes(1, `gradients/${name}`), histo(gradients))] : []),
  ]);

function histo({ min, max, mean, std, counts }: Histogram): Uint8Array {
  const n = counts.reduce((sum, count) => sum + count, 0);
  const width = (max - min) / counts.length || 1;
  const limits = counts.map((_, i) => min + (i + 1) * width);
  const squares = n * (std * std + mean * mean);
  const moments = [min, max, n, n * mean, squares].map((value, i) => double(i + 1, value));
  return message(5, ...moments, doubles(6, limits), doubles(7, counts));
}
