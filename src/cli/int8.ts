import { type Graph, type Int8Graph, interpret, interpretInt8, normalized, quantize } from "../compile/index.js";
import type { ImageSet } from "../data/index.js";
import type { imageFormat } from "../east/index.js";
import { usageError, warn } from "./failure.js";
import { percent } from "./format.js";
import { openSource, sameFormat, sourceOf } from "./source.js";

/** Test images that accuracy is measured on, before and after. */
const CHECKED = 500;
/** What accuracy may fall by without a warning. */
const TOLERATED = 0.005;

export interface Int8Flags {
  readonly calibration: number;
  readonly data?: string;
  readonly imageSize?: number;
}

export interface Int8Outcome {
  readonly graph: Int8Graph;
  readonly calibration: number;
  /** Test images, and which share of them each classifies. */
  readonly images: number;
  readonly f32: number;
  readonly int8: number;
}

/** The graph in integers, calibrated with training images of the run's data and compared on test images. */
export async function toInt8(
  run: string,
  graph: Graph,
  images: ReturnType<typeof imageFormat>,
  flags: Int8Flags & { readonly quiet: boolean },
): Promise<Int8Outcome> {
  const dataset = await openSource(await sourceOf(run, flags), { quiet: flags.quiet });
  try {
    sameFormat("--int8", dataset, images);
    const calibration = await spread(dataset.train, flags.calibration, dataset.shape);
    const integers = quantize(graph, calibration);
    const test = await spread(dataset.test, CHECKED, dataset.shape);
    if (test.length === 0) throw usageError(`--int8: expected data with test images, got none in ${dataset.name}`);
    const {
      test: { labels, count },
    } = dataset;
    const share = (logits: (image: Uint8Array) => ArrayLike<number>) =>
      test.filter((image, i) => best(logits(image)) === labels[position(i, test.length, count)]).length / test.length;
    const f32 = share((image) => interpret(graph, normalized(graph, image)));
    const int8 = share((image) => interpretInt8(integers, image));
    if (f32 - int8 > TOLERATED)
      warn(
        `int8 classifies ${percent(int8)} of ${test.length} test images, f32 ${percent(f32)}; try more --calibration images`,
      );
    return { graph: integers, calibration: calibration.length, images: test.length, f32, int8 };
  } finally {
    await dataset.close();
  }
}

const best = (logits: ArrayLike<number>) =>
  Array.from(logits).reduce((b, logit, i, all) => (logit > all[b] ? i : b), 0);

const position = (i: number, count: number, of: number) => Math.floor((i * of) / count);

/** At most `count` images, evenly spread over the set, for data may be stored class by class. */
async function spread(set: ImageSet, count: number, shape: readonly number[]): Promise<Uint8Array[]> {
  const chosen = Math.min(count, set.count);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const bytes = new Uint8Array(chosen * size);
  await set.read(
    Int32Array.from({ length: chosen }, (_, i) => position(i, chosen, set.count)),
    bytes,
  );
  return Array.from({ length: chosen }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}
