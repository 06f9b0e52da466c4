import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConvShape, native } from "../../src/native.js";
import { conv2d } from "../../src/ops/index.js";
import {
  type Device,
  noGradient,
  SparseTensor,
  scope,
  sizeOf,
  Tensor,
  Topology,
  useDevice,
} from "../../src/tensor/index.js";
import { bytes, expectClose, rounded, signed } from "../numbers.js";
import { randomIndices } from "../ops.cases.js";

const hasCuda = native.devices().cudaReason === "";
beforeAll(() => {
  if (hasCuda) useDevice("cuda");
});
afterAll(() => {
  useDevice("cpu");
});

describe.skipIf(!hasCuda)("cuSPARSE", () => {
  it("takes part in captured work", () => {
    const { newGraph, beginCapture, endCapture, replay, freeGraph } = native as Required<typeof native>;
    const topology = new Topology([5, 4, 3, 3], randomIndices(3, 180, 0.2));
    const real = (seed: number, ...shape: number[]) => Tensor.from(rounded(signed(seed, sizeOf(shape))), shape).keep();
    const [x, other, values] = [real(1, 4, 6, 6, 8), real(2, 4, 6, 6, 8), real(3, topology.nnz)];
    const weight = new SparseTensor(topology, values);
    const convolve = (from: Tensor) =>
      noGradient(() => conv2d(from, weight, { padding: 1, algorithm: "cusparse" }).keep());
    const [first, second] = [convolve(x), convolve(other)];
    const graph = newGraph();
    beginCapture(graph, 0);
    const captured = convolve(x);
    endCapture(graph);
    replay(graph, 0);
    expect(bytes(captured.dataSync())).toBe(bytes(first.dataSync()));
    x.write(other.dataSync());
    replay(graph, 0);
    expect(bytes(captured.dataSync())).toBe(bytes(second.dataSync()));
    for (const tensor of [x, other, values, first, second, captured]) tensor.dispose();
    topology.dispose();
    freeGraph(graph);
  });
});

describe.skipIf(!hasCuda)("cuBLAS", () => {
  const real = (device: Device, seed: number, ...shape: number[]) =>
    Tensor.from(rounded(signed(seed, sizeOf(shape))), shape, { device });

  /** 0.5 dy xᵀ added to ones, of compact activations that are normalised as they are loaded: 2 × 2²⁷ products. */
  const growth = (device: Device) =>
    scope(() => {
      const shape: ConvShape = [32, 63, 32, 64, 32, 2, 1, 1, 1];
      const [c, h, w, n, o, kh, kw] = shape;
      const whole = (data: number[]) => Tensor.from(data, [data.length], { device, dtype: "i32" }).buffer;
      const kinds = Array.from({ length: c }, (_, i) => [1, 1, 0, 1, -1, 2][i % 6]);
      const outputs = Array.from({ length: o }, (_, i) => Number(i % 5 !== 0));
      const needed = outputs.map((_, i) => (i % 7 === 0 ? 0 : 2));
      const [x, dy] = [real(device, 1, c, h, w, n), real(device, 2, o, h + 3 - kh, w + 3 - kw, n)];
      const dweight = Tensor.full([o, c, kh, kw], 1, { device });
      const [value, weight, bias, mean, deviation] = [3, 4, 5, 6, 7].map((seed) => real(device, seed, c).buffer);
      const factor = Tensor.full([1], 0.5, { device });
      // biome-ignore format: the kernel's argument order
      x.kernels.dense_conv_backward_weight(x.buffer, whole(kinds), value, weight, bias, mean, deviation, dy.buffer, whole(outputs),
        whole(needed), shape, factor.buffer, dweight.buffer, true);
      return dweight.dataSync();
    });

  /** A 1×1 convolution of 32 to 128 channels and its data gradient, added to the input: 2²⁷ products each. */
  const pointwise = (device: Device) =>
    scope(() => {
      const shape: ConvShape = [32, 32, 32, 32, 128, 1, 1, 1, 0];
      const [x, weight] = [real(device, 8, 32, 32, 32, 32), real(device, 9, 128, 32)];
      const y = Tensor.empty([128, 32, 32, 32], { device });
      x.kernels.dense_conv_forward(x.buffer, weight.buffer, shape, y.buffer);
      x.kernels.dense_conv_backward_data(y.buffer, weight.buffer, shape, x.buffer, true);
      return [y, x].map((tensor) => tensor.dataSync());
    });

  it("computes large dense products once it is in use, to the same numbers", () => {
    const own = pointwise("cuda");
    native.useLibraries?.(false);
    const blas = pointwise("cuda");
    for (const [i, exact] of pointwise("cpu").entries()) {
      expectClose(own[i], exact, { relative: 1e-5 });
      expectClose(blas[i], exact, { relative: 1e-5 });
      expect(bytes(blas[i]) === bytes(own[i])).toBe(false); // sums in another order
    }
    expectClose(growth("cuda"), growth("cpu"), { relative: 1e-5 });
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

  const standIns = join(process.env.EASTING_PREBUILD ?? "", "build", "Release");
  it.skipIf(!existsSync(join(standIns, "libcusparse.so.12")))(
    "are looked for in EASTING_CUDA_LIBRARY_PATH first",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "easting-cuda-"));
      const file = join(folder, "libcusparse.so.12");
      copyFileSync(join(standIns, "libcusparse.so.12"), file);
      const script = 'import { native } from "./dist/native.js"; console.log(native.libraries()[0].file)';
      const env = { ...process.env, EASTING_CUDA_LIBRARY_PATH: `/nowhere:${folder}` };
      const found = spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, encoding: "utf8" });
      rmSync(folder, { recursive: true });
      expect(found.stdout).toBe(`${file}\n`);
    },
  );
});
