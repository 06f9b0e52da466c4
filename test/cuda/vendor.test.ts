import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConvShape, native } from "../../src/native.js";
import { type ConvAlgorithm, cast, conv2d, multiply, sum } from "../../src/ops/index.js";
import { backward, SparseTensor, scope, sizeOf, Tensor, Topology, useDevice } from "../../src/tensor/index.js";
import { bytes, expectClose, rounded, signed } from "../numbers.js";
import { randomIndices } from "../ops.cases.js";

const hasCuda = native.devices().cudaReason === "";
beforeAll(() => {
  if (hasCuda) useDevice("cuda");
});
afterAll(() => {
  useDevice("cpu");
});

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

describe.skipIf(!hasCuda)("a sparse convolution on CUDA", () => {
  it.each(
    (["cusparse", "dense"] as const).flatMap((algorithm) =>
      (["f32", "f64", "bf16"] as const).map((dtype) => [algorithm, dtype] as const),
    ),
  )("by %s in %s has output and gradients of the fused one", (algorithm, dtype) => {
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
});

describe.skipIf(!hasCuda)("cuBLAS", () => {
  /** 32 × 32 × 131,072 products per tap, of compact activations that are normalised as they are loaded. */
  const shape: ConvShape = [32, 63, 32, 64, 32, 2, 1, 1, 1];
  const [c, h, w, n, o, kh, kw] = shape;
  const kinds = Int32Array.from({ length: c }, (_, i) => [1, 1, 0, 1, -1, 2][i % 6]);
  const outputs = Int32Array.from({ length: o }, (_, i) => Number(i % 5 !== 0));
  const extent = [h + 3 - kh, w + 3 - kw];

  /** Weight gradients 0.5 dy xᵀ added to ones, then a 1×1 convolution, 64 to 64 channels, and its data gradient. */
  const compute = (device: "cpu" | "cuda") =>
    scope(() => {
      const real = (seed: number, ...dims: number[]) =>
        Tensor.from(rounded(signed(seed, sizeOf(dims))), dims, { device });
      const whole = (data: Int32Array) => Tensor.from(data, [data.length], { device, dtype: "i32" }).buffer;
      const [x, dy, growth] = [
        real(1, c, h, w, n),
        real(2, o, ...extent, n),
        Tensor.full([o, c, kh, kw], 1, { device }),
      ];
      const [value, weight, bias, mean, deviation] = [3, 4, 5, 6, 7].map((seed) => real(seed, c).buffer);
      const factor = Tensor.full([1], 0.5, { device }).buffer;
      // biome-ignore format: the kernel's argument order
      x.kernels.dense_conv_backward_weight(x.buffer, whole(kinds), value, weight, bias, mean, deviation, dy.buffer, whole(outputs),
        whole(outputs.map((kind) => 2 * kind)), shape, factor, growth.buffer, true);
      const pointwise: ConvShape = [64, 32, 32, 32, 64, 1, 1, 1, 0];
      const [input, matrix, y] = [real(8, 64, 32, 32, 32), real(9, 64, 64), Tensor.empty([64, 32, 32, 32], { device })];
      x.kernels.dense_conv_forward(input.buffer, matrix.buffer, pointwise, y.buffer);
      x.kernels.dense_conv_backward_data(y.buffer, matrix.buffer, pointwise, input.buffer, true);
      return [growth, y, input].map((tensor) => tensor.dataSync());
    });

  it("computes large dense products once it is in use, to the same numbers", () => {
    const [own, cpu] = [compute("cuda"), compute("cpu")];
    native.useLibraries?.(false);
    const blas = compute("cuda");
    for (const [i, numbers] of blas.entries()) {
      expectClose(numbers, cpu[i], { relative: 1e-5 });
      expectClose(own[i], cpu[i], { relative: 1e-5 });
      expect(bytes(numbers) === bytes(own[i])).toBe(false); // another order of sums
    }
  });
});

describe("NVIDIA's libraries", () => {
  const include = [`${process.env.CUDA_PATH}/include`, "/usr/local/cuda/include"];
  const headers = include.some((folder) => existsSync(`${folder}/cusparse.h`));
  it.skipIf(!headers)("are declared as in their headers", () => {
    const source = fileURLToPath(new URL("../cuda-emulation/prototypes.cc", import.meta.url));
    const native = fileURLToPath(new URL("../../native", import.meta.url));
    const folders = [native, ...include].map((folder) => `-I${folder}`);
    const { status, stderr } = spawnSync("g++", ["-std=c++20", "-fsyntax-only", ...folders, source], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });

  /** What a network that trains by `conv` complains of in a process with these environment variables. */
  const complaint = (conv: string, environment: Record<string, string>) => {
    const script = `
      import { Conv2d, useConvAlgorithm } from "./dist/nn/index.js";
      try { useConvAlgorithm(new Conv2d(1, 1, { kernel: 1 }), "${conv}", "cuda"); console.log("none"); }
      catch (error) { console.log(error.code, error.message); }`;
    const env = { ...process.env, ...environment };
    return spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, encoding: "utf8" }).stdout;
  };

  it.skipIf(!hasCuda)("are asked for by name where cuSPARSE is missing", () => {
    const missing = { EASTING_CUSPARSE: "/nowhere/libcusparse.so" };
    expect(complaint("cusparse", missing)).toMatch(
      /^EASTING_CONFIG conv: cuSPARSE: expected the library \/nowhere\/libcusparse.so, got none \(.+\); install the CUDA toolkit, or set EASTING_CUSPARSE to the library's file; or choose auto, fused or dense$/m,
    );
    expect(complaint("auto", missing)).toBe("none\n");
  });

  it.skipIf(!hasCuda)("may be missing: products are then computed without cuBLAS", () => {
    expect(complaint("auto", { EASTING_CUBLAS: "/nowhere/libcublas.so" })).toBe("none\n");
  });

  it.skipIf(!hasCuda)("must have the functions that are used", () => {
    const other = process.execPath; // loads as little as any file that is no library
    expect(complaint("cusparse", { EASTING_CUSPARSE: other })).toContain(`expected the library ${other}, got none`);
  });
});
