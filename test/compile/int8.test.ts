import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compile,
  type Int8Convolution,
  type Int8Graph,
  type Int8Reading,
  interpret,
  interpretInt8,
  interpretPlanes,
  NO_FLOOR,
  normalized,
  type Plane,
  quantize,
} from "../../src/compile/index.js";
import { uniform } from "../numbers.js";
import { classNames, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";

/** A plane of 2 × 2 with zero 100, then a step of one row, then that row's pixels as logits. */
function afterOne(
  step: Omit<Int8Convolution, "op" | "height" | "width" | "tensor">,
  zero: number,
  image: number[],
): number[] {
  const pixel = (y: number, x: number): Int8Convolution => ({
    ...{
      op: "convolution",
      tensor: null,
      height: 1,
      width: 1,
      stride: 1,
      inputs: Int32Array.of(1),
      weights: Int8Array.of(1),
    },
    ...{ dy: Int8Array.of(y), dx: Int8Array.of(x) },
    rows: [{ plane: 2, channel: 0, first: 0, end: 1, multiplier: 1, shift: 0, bias: zero, residual: null }],
  });
  const logit = (y: number, x: number) => {
    const graph: Int8Graph = {
      image: { shape: [1, 2, 2], mean: [100 / 255], std: [1] },
      classes: ["0"],
      steps: [{ op: "convolution", tensor: null, height: 2, width: 2, ...step }, pixel(y, x)],
      zeros: Uint8Array.of(100, zero, 0),
      logitScale: 1,
    };
    return interpretInt8(graph, Uint8Array.from(image))[0];
  };
  return [logit(0, 0), logit(0, 1), logit(1, 0), logit(1, 1)];
}

const row = { plane: 1, channel: 0, first: 0, end: 0, multiplier: 1, shift: 0, bias: 0, residual: null };
const none = {
  stride: 1,
  inputs: new Int32Array(0),
  dy: new Int8Array(0),
  dx: new Int8Array(0),
  weights: new Int8Array(0),
};
const copy: Int8Reading = { plane: 0, factor: 1, offset: 0, floor: NO_FLOOR };

describe("integer arithmetic", () => {
  it("multiplies what a tap finds, less the zero, and finds nothing outside", () => {
    const tap = { inputs: Int32Array.of(0), dy: Int8Array.of(0), dx: Int8Array.of(1), weights: Int8Array.of(-3) };
    // −3 · (110 − 100) beside a zero of 50; the right column reads beyond the edge.
    expect(afterOne({ stride: 1, ...tap, rows: [{ ...row, end: 1 }] }, 50, [0, 110, 0, 95])).toEqual([20, 50, 65, 50]);
  });

  it("rounds ties up, on both sides of zero", () => {
    const rows = [{ ...row, shift: 1, residual: copy }];
    // 3 / 2, −3 / 2, 1 / 2 and −1 / 2 beside a zero of 10.
    expect(afterOne({ ...none, rows }, 10, [103, 97, 101, 99])).toEqual([12, 9, 11, 10]);
  });

  it("saturates at the ends of a byte", () => {
    const rows = [{ ...row, multiplier: 255, residual: copy }];
    expect(afterOne({ ...none, rows }, 128, [255, 0, 100, 101])).toEqual([255, 0, 128, 255]);
  });

  it("reads a residual with factor, offset and floor", () => {
    const rows = [{ ...row, bias: 7, residual: { plane: 0, factor: 2, offset: -5, floor: -9 } }];
    // 2 · (q − 100) − 5 is 15, −5, −9 (the floor; −13 without) and −3, each plus 7.
    expect(afterOne({ ...none, rows }, 20, [110, 100, 96, 101])).toEqual([42, 22, 18, 24]);
  });

  it("takes its biases from bands", () => {
    const bias = { rows: [1, 2], columns: [1, 2], values: Float64Array.of(1, 2, 3, 4) };
    expect(afterOne({ ...none, rows: [{ ...row, bias }] }, 0, [0, 0, 0, 0])).toEqual([1, 2, 3, 4]);
  });

  it("pools by the largest byte and by the mean of readings", () => {
    const logits = (zero: number, step: Int8Graph["steps"][number], image: number[]) => {
      const read = {
        ...none,
        inputs: Int32Array.of(1),
        dy: Int8Array.of(0),
        dx: Int8Array.of(0),
        weights: Int8Array.of(1),
      };
      const last = {
        op: "convolution" as const,
        tensor: null,
        height: 1,
        width: 1,
        ...read,
        rows: [{ ...row, plane: 2, end: 1 }],
      };
      const zeros = Uint8Array.of(100, zero, 0);
      const graph = {
        image: { shape: [1, 2, 2], mean: [0.4], std: [1] },
        classes: ["0"],
        zeros,
        logitScale: 1,
      } as const;
      return interpretInt8({ ...graph, steps: [step, last] }, Uint8Array.from(image));
    };
    const window = { kernel: 3, stride: 2, padding: 1 };
    const pooled = { plane: 1, channel: 0, input: 0 };
    const max = { op: "maxPool", height: 1, width: 1, ...window, rows: [pooled] } as const;
    expect(logits(100, max, [90, 99, 80, 70])).toEqual(Int32Array.of(-1));
    const mean = { plane: 1, channel: 0, multiplier: 1, shift: 2, input: { plane: 0, factor: 1, offset: 1, floor: 0 } };
    const average = { op: "averagePool", height: 1, width: 1, rows: [mean] } as const;
    // 11 + 0 (the floor; −9 without) + 1 + 3 is 15; 15 / 4 rounds to 4.
    expect(logits(0, average, [110, 90, 100, 102])).toEqual(Int32Array.of(4));
  });

  it("refuses an image of another size", () => {
    const graph = { image: { shape: [1, 2, 2], mean: [0], std: [1] }, classes: [], steps: [], logitScale: 1 } as const;
    expect(() => interpretInt8({ ...graph, zeros: Uint8Array.of(0) }, new Uint8Array(3))).toThrow(
      "interpretInt8: expected an image of 1 × 2 × 2 bytes, got 3",
    );
  });
});

const imageBytes = (side: number, seed: number) =>
  Uint8Array.from(uniform(seed, 3 * side * side), (u) => Math.floor(256 * u));

function quantized(spec: NetworkSpec, images: number) {
  const model = randomNetwork(spec);
  const { graph } = compile(model, imageInput(spec.side), classNames(10));
  model.dispose();
  const calibration = Array.from({ length: images }, (_, i) => imageBytes(spec.side, i + 1));
  return { graph, integers: quantize(graph, calibration) };
}

/** The largest |sum| · multiplier + half that any image could lead to. */
function worst({ steps, zeros }: Int8Graph): number {
  const reach = (plane: number) => Math.max(zeros[plane], 255 - zeros[plane]);
  const reading = ({ plane, factor, offset, floor }: Int8Reading) =>
    Math.max(factor * reach(plane) + Math.abs(offset), floor === NO_FLOOR ? 0 : Math.abs(floor));
  let most = 0;
  for (const step of steps)
    if (step.op === "convolution")
      for (const { first, end, bias, residual, multiplier, shift } of step.rows) {
        let sum = typeof bias === "number" ? Math.abs(bias) : Math.max(...bias.values.map(Math.abs));
        for (let k = first; k < end; k++) sum += Math.abs(step.weights[k]) * reach(step.inputs[k]);
        if (residual) sum += reading(residual);
        most = Math.max(most, sum * multiplier + 2 ** (shift - 1));
      }
  return most;
}

describe("a quantised network", () => {
  it.each<[string, NetworkSpec]>([
    ["few weights a row", { model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 }],
    ["bands and aliases", { model: "resnet34", mask: "random", density: 0.001, side: 32, seed: 3 }],
    ["shared weights", { model: "resnet34", mask: "live", count: 1500, share: true, side: 16, seed: 5 }],
    ["a max-pool", { model: "resnet18-imagenet", mask: "live", count: 1000, side: 64, seed: 7 }],
    ["dense weights", { model: "resnet20", mask: "random", density: 1, side: 8, seed: 8 }],
  ])("with %s stays close to what it was", (_, spec) => {
    const { graph, integers } = quantized(spec, 8);
    let [error, norm] = [0, 0];
    for (let seed = 100; seed < 104; seed++) {
      const image = imageBytes(spec.side, seed);
      const wanted = interpret(graph, normalized(graph, image));
      const mean = wanted.reduce((sum, value) => sum + value, 0) / wanted.length;
      interpretInt8(integers, image).forEach((logit, i) => {
        error += (logit * integers.logitScale - wanted[i]) ** 2;
        norm += (wanted[i] - mean) ** 2;
      });
    }
    expect(Math.sqrt(error / norm)).toBeLessThan(0.1);
    expect(worst(integers)).toBeLessThan(2 ** 31);
  });

  it("never leaves 32 bits, whatever the network", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 60, max: 900 }),
        fc.constantFrom("random", "live"),
        fc.nat(1e6),
        (count, mask, seed) => {
          const { integers } = quantized(
            { model: "resnet20", mask: mask as "random" | "live", count, side: 8, seed },
            2,
          );
          expect(worst(integers)).toBeLessThan(2 ** 31);
        },
      ),
      { numRuns: 20, seed: 1 },
    );
  });

  it("widens the range of a plane that calibration saw hardly move, so that its sums fit", () => {
    const { graph } = quantized({ model: "resnet20", mask: "live", count: 100, side: 8, seed: 1 }, 1);
    // Weights of 10⁶ and a bias that leaves all but nothing of them on the one image.
    const [first, ...steps] = graph.steps;
    if (first.op !== "convolution") throw new Error("no convolution");
    const weights = first.weights.map(() => 1e6);
    const flat = new Uint8Array(3 * 64).fill(128);
    const sums = interpretPlanes({ ...graph, steps: [{ ...first, weights }] }, normalized(graph, flat));
    const rows = first.rows.map((row) => ({
      ...row,
      bias: 1e-3 - ((sums.get(row.plane) as Plane).values[27] - (row.bias as number)),
    }));
    const integers = quantize({ ...graph, steps: [{ ...first, weights, rows }, ...steps] }, [flat]);
    expect(worst(integers)).toBeLessThan(2 ** 31);
  });

  it("needs images to be calibrated with", () => {
    const { graph } = quantized({ model: "resnet20", mask: "live", count: 100, side: 8, seed: 1 }, 1);
    expect(() => quantize(graph, [])).toThrow("calibration: expected at least one image, got 0");
  });
});
