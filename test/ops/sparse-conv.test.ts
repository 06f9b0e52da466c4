import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ConvShape } from "../../src/native.js";
import { add, conv2d, multiply, scaleBy, sum } from "../../src/ops/index.js";
import { backward, DenseGradient, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { expectClose, largest, rounded, signed } from "../numbers.js";
import { randomIndices } from "../ops.cases.js";
import { convolve, convolveBackward, densify, extents } from "./reference.js";

type Real = "f32" | "f64";
const precision = { f32: { relative: 1e-5, absolute: 1e-5 }, f64: { relative: 1e-12, absolute: 1e-12 } };
const runs = { numRuns: 60, seed: 1 };

/** Convolutions from one pixel up, some wider than a vector of the batch, some with kernels larger than the image. */
const shapes: fc.Arbitrary<ConvShape> = fc
  .record({
    kernel: fc.constantFrom(1, 3, 5, 7),
    c: fc.integer({ min: 1, max: 12 }),
    o: fc.integer({ min: 1, max: 12 }),
    h: fc.integer({ min: 1, max: 9 }),
    w: fc.integer({ min: 1, max: 9 }),
    n: fc.constantFrom(1, 3, 5, 7, 9, 17, 33),
    stride: fc.constantFrom(1, 2, 3),
    padding: fc.constantFrom(0, 1, 2, 3),
  })
  .map(({ kernel, c, o, h, w, n, stride, padding }): ConvShape => [c, h, w, n, o, kernel, kernel, stride, padding])
  .filter((shape) => Math.min(shape[1], shape[2]) + 2 * shape[8] >= shape[5]);
const seeds = fc.nat(1e6);
const densities = [1, 0.1, 0.01, 0.001, 0];

interface Result {
  readonly y: ArrayLike<number>;
  readonly dx: ArrayLike<number>;
  readonly dweight: ArrayLike<number>;
  readonly dense: ArrayLike<number> | null;
}

const numbers = (seed: number, size: number) => rounded(signed(seed, size));
const sizes = ([c, h, w, n, o, kh, kw]: ConvShape) => ({ x: [c, h, w, n], weight: [o, c, kh, kw] });

/** y, dx, dweight of Σ r · conv(x, weight) for the dense weight or the values at `topology`. */
function differentiate(shape: ConvShape, dtype: Real, seed: number, topology: Topology | null, wanted = false): Result {
  const { x: xShape, weight: weightShape } = sizes(shape);
  const options = { dtype, requiresGradient: true };
  return scope(() => {
    const x = Tensor.from(numbers(seed, sizeOf(xShape)), xShape, options);
    const leafShape = topology ? [topology.nnz] : weightShape;
    const leaf = Tensor.from(numbers(seed + 1, sizeOf(leafShape)), leafShape, options);
    const weight = topology ? new SparseTensor(topology, leaf) : leaf;
    if (weight instanceof SparseTensor) weight.denseGradient.wanted = wanted;
    const y = conv2d(x, weight, { stride: shape[7], padding: shape[8] });
    backward(sum(multiply(y, Tensor.from(numbers(seed + 2, y.size), y.shape, { dtype }))));
    const dense = weight instanceof SparseTensor ? weight.denseGradient : null;
    const result = {
      y: y.dataSync(),
      dx: (x.gradient as Tensor).dataSync(),
      dweight: (leaf.gradient as Tensor).dataSync(),
      dense: dense?.tensor?.dataSync() ?? null,
    };
    x.gradient?.dispose();
    leaf.gradient?.dispose();
    dense?.clear();
    topology?.dispose();
    return result;
  });
}

function expected(shape: ConvShape, seed: number, topology: Topology | null) {
  const { x: xShape, weight: weightShape } = sizes(shape);
  const x = numbers(seed, sizeOf(xShape));
  const values = numbers(seed + 1, topology ? topology.nnz : sizeOf(weightShape));
  const weight = topology ? densify(values, topology.indices, sizeOf(weightShape)) : values;
  const y = convolve(x, weight, shape);
  return { y, ...convolveBackward(x, weight, numbers(seed + 2, y.length), shape) };
}

const topologyOf = (shape: ConvShape, seed: number, density: number) => {
  const { weight } = sizes(shape);
  return new Topology(weight, randomIndices(seed + 3, sizeOf(weight), density));
};

function expectSparse(shape: ConvShape, seed: number, topology: Topology): void {
  const { y, dx, dweight } = expected(shape, seed, topology);
  for (const dtype of ["f64", "f32"] as const) {
    const actual = differentiate(shape, dtype, seed, topology, true);
    expectClose(actual.y, y, precision[dtype], `${dtype} y`);
    expectClose(actual.dx, dx, precision[dtype], `${dtype} dx`);
    const atValues = Float64Array.from(topology.indices, (i) => dweight[i]);
    expectClose(actual.dweight, atValues, precision[dtype], `${dtype} dvalues`);
    expectClose(actual.dense as ArrayLike<number>, dweight, precision[dtype], `${dtype} dense gradient`);
  }
}

describe.each(densities)("sparse convolution at density %d", (density) => {
  it("equals the dense reference of the masked weight, forward and backward, with its dense gradient", () => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => expectSparse(shape, seed, topologyOf(shape, seed, density))),
      runs,
    );
  });
});

describe("sparse convolution", () => {
  it.each([
    ["an image of one pixel under a 3 × 3 kernel", [3, 1, 1, 5, 4, 3, 3, 1, 1]],
    ["an image smaller than the padding", [2, 2, 2, 3, 3, 7, 7, 1, 3]],
    ["a 1 × 1 kernel with padding, whose border is zero", [3, 4, 4, 3, 2, 1, 1, 1, 2]],
    ["a stride larger than the kernel", [3, 7, 8, 3, 2, 1, 1, 3, 0]],
    ["rows of an image that no output reads", [2, 8, 8, 3, 3, 3, 3, 3, 0]],
    ["a large batch", [2, 3, 3, 530, 3, 3, 3, 1, 1]],
    ["a kernel that is not square", [2, 6, 5, 3, 3, 1, 3, 1, 0]],
    ["odd sides, and more images than two vectors hold", [5, 5, 7, 35, 6, 3, 3, 1, 1]],
    ["more channels than a task has, and tiles than it packs at once", [36, 10, 10, 32, 70, 3, 3, 1, 1]],
    ["a border of two pixels", [3, 4, 5, 18, 3, 3, 3, 1, 2]],
    ["no border", [3, 6, 5, 18, 3, 3, 3, 1, 0]],
  ] as [string, ConvShape][])("handles %s", (_, shape) => {
    expectSparse(shape, 40, topologyOf(shape, 40, 0.5));
  });

  it("with no weights gives zeros and passes zero gradients", () => {
    const shape: ConvShape = [3, 4, 4, 5, 2, 3, 3, 1, 1];
    const result = differentiate(shape, "f32", 1, new Topology([2, 3, 3, 3], new Int32Array(0)));
    expect(largest(result.y)).toBe(0);
    expect(largest(result.dx)).toBe(0);
    expect(result.dweight.length).toBe(0);
    expect(result.dense).toBe(null);
  });

  it("handles a single weight at every place of the kernel", () => {
    const shape: ConvShape = [2, 4, 5, 3, 2, 3, 3, 1, 1];
    for (let index = 0; index < 36; index++)
      expectSparse(shape, index, new Topology([2, 2, 3, 3], Int32Array.of(index)));
  });

  it("with all weights equals the dense convolution", () => {
    const shape: ConvShape = [5, 6, 7, 9, 4, 3, 3, 1, 1];
    const full = new Topology(
      [4, 5, 3, 3],
      Int32Array.from({ length: 180 }, (_, i) => i),
    );
    const sparse = differentiate(shape, "f64", 5, full);
    const dense = differentiate(shape, "f64", 5, null);
    for (const name of ["y", "dx", "dweight"] as const) expectClose(sparse[name], dense[name], precision.f64, name);
  });

  it("keeps the gradient of the values apart where x needs none, and the other way round", () => {
    const shape: ConvShape = [3, 5, 5, 7, 4, 3, 3, 1, 1];
    const topology = topologyOf(shape, 8, 0.3);
    const { dx, dweight } = expected(shape, 8, topology);
    const { x: xShape } = sizes(shape);
    scope(() => {
      for (const trained of ["x", "values"]) {
        const x = Tensor.from(numbers(8, sizeOf(xShape)), xShape, { requiresGradient: trained === "x" });
        const values = Tensor.from(numbers(9, topology.nnz), [topology.nnz], {
          requiresGradient: trained === "values",
        });
        const y = conv2d(x, new SparseTensor(topology, values), { padding: 1 });
        backward(sum(multiply(y, Tensor.from(numbers(10, y.size), y.shape))));
        if (trained === "x") expectClose((x.gradient as Tensor).dataSync(), dx, precision.f32);
        else {
          const atValues = Float64Array.from(topology.indices, (i) => dweight[i]);
          expectClose((values.gradient as Tensor).dataSync(), atValues, precision.f32);
        }
        expect(trained === "x" ? values.gradient : x.gradient).toBe(null);
      }
    });
  });
});

describe("dense convolution", () => {
  it.each(["f64", "f32"] as const)("in %s equals plain loops, forward and backward", (dtype) => {
    fc.assert(
      fc.property(shapes, seeds, (shape, seed) => {
        const reference = expected(shape, seed, null);
        const actual = differentiate(shape, dtype, seed, null);
        expectClose(actual.y, reference.y, precision[dtype], "y");
        expectClose(actual.dx, reference.dx, precision[dtype], "dx");
        expectClose(actual.dweight, reference.dweight, precision[dtype], "dweight");
      }),
      runs,
    );
  });

  it("agrees with plain loops where its blocks are cut: 70 channels to 37, 3 × 3", () => {
    const shape: ConvShape = [70, 6, 5, 19, 37, 3, 3, 1, 1];
    const reference = expected(shape, 3, null);
    const actual = differentiate(shape, "f32", 3, null);
    expectClose(actual.y, reference.y, precision.f32, "y");
    expectClose(actual.dx, reference.dx, precision.f32, "dx");
    expectClose(actual.dweight, reference.dweight, precision.f32, "dweight");
  });
});

describe("dense gradient of a sparse weight", () => {
  const shape: ConvShape = [3, 5, 4, 7, 4, 3, 3, 1, 1];
  const [height, width] = extents(shape);
  const { x: xShape, weight: weightShape } = sizes(shape);

  it("is the sum over all uses of the weight, each with its factor", () => {
    const topology = topologyOf(shape, 50, 0.3);
    const [x1, x2] = [60, 61].map((t) => numbers(t, sizeOf(xShape)));
    const [r1, r2] = [62, 63].map((t) => numbers(t, 4 * height * width * 7));
    const weight = densify(numbers(64, topology.nnz), topology.indices, sizeOf(weightShape));
    scope(() => {
      const options = { dtype: "f64" as const };
      const values = Tensor.from(numbers(64, topology.nnz), [topology.nnz], { ...options, requiresGradient: true });
      const factors = [0.75, -2].map((f) => Tensor.from([f], [1], { ...options, requiresGradient: true }));
      const denseGradient = new DenseGradient();
      denseGradient.wanted = true;
      const losses = [
        { x: x1, r: r1, factor: factors[0] },
        { x: x2, r: r2, factor: factors[1] },
      ].map(({ x, r, factor }) => {
        const used = new SparseTensor(topology, scaleBy(values, factor), denseGradient, factor);
        const y = conv2d(Tensor.from(x, xShape, options), used, { padding: 1 });
        return sum(multiply(y, Tensor.from(r, y.shape, options)));
      });
      backward(add(losses[0], losses[1]));
      const [first, second] = [
        convolveBackward(x1, weight, r1, shape).dweight,
        convolveBackward(x2, weight, r2, shape).dweight,
      ];
      const total = first.map((v, i) => 0.75 * v - 2 * second[i]);
      const dense = (denseGradient.tensor as Tensor).dataSync();
      expectClose(dense, total, precision.f64, "dense gradient");
      const atValues = Float64Array.from(topology.indices, (i) => total[i]);
      expectClose((values.gradient as Tensor).dataSync(), atValues, precision.f64, "gradient of the values");
      const factorGradient = first.reduce((a, v, i) => a + v * weight[i], 0);
      expectClose((factors[0].gradient as Tensor).dataSync(), [factorGradient], precision.f64, "gradient of a factor");
      denseGradient.clear();
      expect(denseGradient.tensor).toBe(null);
      expect(denseGradient.wanted).toBe(false);
    });
  });

  it("is not computed unless it is wanted", () => {
    expect(differentiate(shape, "f32", 1, topologyOf(shape, 1, 0.3)).dense).toBe(null);
  });
});
