import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveConfig, train } from "../../src/east/index.js";
import { type ConvShape, native } from "../../src/native.js";
import { chosenAlgorithm } from "../../src/ops/conv-algorithm.js";
import { type ConvAlgorithm, cast, conv2d, multiply, sum } from "../../src/ops/index.js";
import {
  backward,
  defaultDevice,
  SparseTensor,
  scope,
  sizeOf,
  Tensor,
  Topology,
  useDevice,
} from "../../src/tensor/index.js";
import { expectClose, rounded, signed } from "../numbers.js";
import { randomIndices } from "../ops.cases.js";
import { collect, fewDigits, only } from "../train/tiny.js";

/** Convolutions from one pixel up, with kernels larger than the image, strides larger than the kernel, odd batches. */
const shapes: fc.Arbitrary<ConvShape> = fc
  .record({
    kernel: fc.constantFrom(1, 3, 5),
    c: fc.integer({ min: 1, max: 6 }),
    o: fc.integer({ min: 1, max: 6 }),
    h: fc.integer({ min: 1, max: 7 }),
    w: fc.integer({ min: 1, max: 7 }),
    n: fc.constantFrom(1, 3, 4, 8, 9),
    stride: fc.constantFrom(1, 2, 3),
    padding: fc.constantFrom(0, 1, 2),
  })
  .map(({ kernel, c, o, h, w, n, stride, padding }): ConvShape => [c, h, w, n, o, kernel, kernel, stride, padding])
  .filter((shape) => Math.min(shape[1], shape[2]) + 2 * shape[8] >= shape[5]);

interface Result {
  readonly y: ArrayLike<number>;
  readonly dx: ArrayLike<number>;
  readonly dvalues: ArrayLike<number>;
  readonly growth: ArrayLike<number>;
}

/** Output and gradients of Σ r · conv(x, weight), the gradients added to what the same computation left there before. */
function differentiate(
  algorithm: ConvAlgorithm,
  shape: ConvShape,
  topology: Topology,
  dtype: "f32" | "f64" | "bf16",
): Result {
  const [c, h, w, n, , , , stride, padding] = shape;
  const xShape = [c, h, w, n];
  const parameters = { dtype: dtype === "f64" ? "f64" : "f32", requiresGradient: true } as const;
  return scope(() => {
    const x = Tensor.from(rounded(signed(1, sizeOf(xShape))), xShape, { dtype, requiresGradient: true });
    const values = Tensor.from(rounded(signed(2, topology.nnz)), [topology.nnz], parameters);
    const weight = new SparseTensor(topology, values);
    weight.denseGradient.wanted = true;
    let y = x;
    for (let time = 0; time < 2; time++) {
      y = conv2d(x, weight, { stride, padding, algorithm });
      const r = Tensor.from(rounded(signed(3, y.size)), y.shape, { dtype });
      backward(sum(cast(multiply(y, r), parameters.dtype)));
    }
    const result = {
      y: y.dataSync(),
      dx: (x.gradient as Tensor).dataSync(),
      dvalues: (values.gradient as Tensor).dataSync(),
      growth: (weight.denseGradient.tensor as Tensor).dataSync(),
    };
    for (const tensor of [x.gradient, values.gradient, x, values]) tensor?.dispose();
    weight.denseGradient.clear();
    return result;
  });
}

const precision = {
  f32: { relative: 1e-5, absolute: 1e-5 },
  f64: { relative: 1e-12, absolute: 1e-12 },
  bf16: { relative: 2e-2, absolute: 2e-2 }, // two roundings to 8 bits may differ
};

function expectSame(
  algorithm: ConvAlgorithm,
  shape: ConvShape,
  topology: Topology,
  dtype: "f32" | "f64" | "bf16",
): void {
  const [fused, other] = (["fused", algorithm] as const).map((each) => differentiate(each, shape, topology, dtype));
  for (const key of ["y", "dx", "dvalues", "growth"] as const)
    expectClose(other[key], fused[key], precision[dtype], key);
}

const devices = native.devices().cudaReason === "" ? (["cpu", "cuda"] as const) : (["cpu"] as const);
const before = defaultDevice;
afterAll(() => {
  useDevice(before);
});

describe.each(devices)("a sparse convolution on the device %s", (device) => {
  beforeAll(() => {
    useDevice(device);
  });
  const algorithms = device === "cuda" ? (["dense", "cusparse"] as const) : (["dense"] as const);
  const cases = algorithms.flatMap((algorithm) =>
    (["f32", "f64", "bf16"] as const).map((dtype) => [algorithm, dtype] as const),
  );

  it.each(cases)("by %s in %s has the output and the gradients of the fused one", (algorithm, dtype) => {
    fc.assert(
      fc.property(shapes, fc.constantFrom(1, 0.3, 0.05, 0), fc.nat(1e6), (shape, density, seed) => {
        const [c, , , , o, kh, kw] = shape;
        const dense = [o, c, kh, kw];
        const topology = new Topology(dense, randomIndices(seed, sizeOf(dense), density));
        expectSame(algorithm, shape, topology, dtype);
        topology.dispose();
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it.each(algorithms)("by %s trains a network like the fused one", async (conv) => {
    const config = { model: "resnet20", method: "east", sparsity: 90, epochs: 1, batch: 4, seed: 5 } as const;
    const losses = async (by: ConvAlgorithm) => {
      const events = await collect(
        train({ ...config, updateEvery: 1, conv: by }, fewDigits(16, 2, 2), { device, stopAfter: 2 }),
      );
      return only(events, "step").map(({ loss }) => loss);
    };
    const [fused, other] = [await losses("fused"), await losses(conv)];
    expect(fused.length).toBe(2);
    expectClose(other, fused, { relative: 1e-4 });
  });
});

describe("the algorithm auto", () => {
  it.each([
    ["cpu", 1, "fused"],
    ["cuda", 0.049, "fused"],
    ["cuda", 0.05, "dense"],
    ["cuda", 1, "dense"],
  ] as const)("on the device %s at density %d is %s", (device, density, algorithm) => {
    expect(chosenAlgorithm("auto", density, device)).toBe(algorithm);
  });
});

describe("the setting conv", () => {
  const config = { model: "resnet20", sparsity: 90, epochs: 1 } as const;

  it("refuses cusparse on the CPU before anything is computed", async () => {
    await expect(collect(train({ ...config, conv: "cusparse" }, fewDigits(24), { device: "cpu" }))).rejects.toThrow(
      expect.objectContaining({
        code: "EASTING_CONFIG",
        message: "conv: expected auto, fused or dense on the CPU, got cusparse; train on a GPU to use it",
      }),
    );
  });

  it("refuses what is no algorithm", () => {
    expect(() => resolveConfig({ ...config, conv: "cudnn" as "auto" })).toThrow(
      "config: conv: expected one of auto, fused, cusparse, dense, got cudnn",
    );
  });
});
