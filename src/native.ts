import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { EastingError } from "./errors.js";

/** A buffer of the addon; null leaves an optional argument out. */
export type Buffer = number | null;
/** c, h, w, n, o, kh, kw, stride, padding. */
export type ConvShape = readonly [number, number, number, number, number, number, number, number, number];
/** seed, purpose, stream, step. */
export type RandomKey = readonly [number, number, number, number];

/** BatchNorm and what is fused behind it, field by field as in `native/types.h`; null leaves it out. */
export type BatchNormForward =
  | readonly [
      weight: Buffer,
      bias: Buffer,
      mean: Buffer,
      inverseDeviation: Buffer,
      runningMean: Buffer,
      runningVariance: Buffer,
      epsilon: number,
      momentum: number,
      training: boolean,
      relu: boolean,
      residual: Buffer,
      residualKind: Buffer,
      residualValue: Buffer,
      y: Buffer,
      yKind: Buffer,
      yValue: Buffer,
      means: Buffer,
    ]
  | null;

/** Backward of BatchNorm, field by field as in `native/types.h`; null leaves it out. */
export type BatchNormBackward =
  | readonly [
      x: Buffer,
      xKind: Buffer,
      y: Buffer,
      yKind: Buffer,
      dy: Buffer,
      dyKind: Buffer,
      dyValue: Buffer,
      weight: Buffer,
      bias: Buffer,
      mean: Buffer,
      inverseDeviation: Buffer,
      training: boolean,
      relu: boolean,
      residual: boolean,
      residualKind: Buffer,
      dresidualKind: Buffer,
      dresidualValue: Buffer,
      dx: Buffer,
      dweight: Buffer,
      dbias: Buffer,
      accumulate: boolean,
      dmeans: Buffer,
    ]
  | null;

/** `native/kernels.def` as TypeScript sees it; a test holds the two together. Every call queues work and returns. */
export interface Kernels {
  fill(y: Buffer, value: number): void;
  copy(x: Buffer, y: Buffer, accumulate: boolean): void;
  add(a: Buffer, b: Buffer, y: Buffer): void;
  multiply(a: Buffer, b: Buffer, y: Buffer, accumulate: boolean): void;
  scale(x: Buffer, factor: number, y: Buffer, accumulate: boolean): void;
  relu_forward(x: Buffer, y: Buffer): void;
  relu_backward(y: Buffer, dy: Buffer, dx: Buffer, accumulate: boolean): void;
  sum(x: Buffer, factor: number, y: Buffer, accumulate: boolean): void;
  dot(a: Buffer, b: Buffer, y: Buffer, accumulate: boolean): void;
  sum_of_squares(xs: readonly Buffer[], y: Buffer): void;
  broadcast(x: Buffer, factor: number, y: Buffer, accumulate: boolean): void;
  channel_sum(x: Buffer, channels: number, y: Buffer, accumulate: boolean): void;
  add_bias(x: Buffer, bias: Buffer, channels: number, y: Buffer): void;
  scale_by(x: Buffer, factor: Buffer, y: Buffer, accumulate: boolean): void;
  gather(x: Buffer, positions: Buffer, y: Buffer): void;
  scatter(x: Buffer, positions: Buffer, y: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  sparse_conv_forward(x: Buffer, x_kind: Buffer, x_value: Buffer, norm_weight: Buffer, norm_bias: Buffer, norm_mean: Buffer, norm_deviation: Buffer, values: Buffer, row_start: Buffer, row_entry: Buffer, shape: ConvShape, needed: Buffer, y: Buffer, y_kind: Buffer, next: BatchNormForward): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  sparse_conv_backward(x: Buffer, x_kind: Buffer, x_value: Buffer, dy: Buffer, y_kind: Buffer, values: Buffer, column_start: Buffer, column_entry: Buffer, column_value: Buffer, shape: ConvShape, dx: Buffer, dx_kind: Buffer, dx_value: Buffer, accumulate_dx: boolean, dvalues: Buffer, accumulate_dvalues: boolean, previous: BatchNormBackward): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  sparse_conv_backward_normalized(x: Buffer, x_kind: Buffer, norm_weight: Buffer, norm_bias: Buffer, norm_mean: Buffer, norm_deviation: Buffer, training: boolean, dy: Buffer, y_kind: Buffer, values: Buffer, column_start: Buffer, column_entry: Buffer, column_value: Buffer, shape: ConvShape, dx: Buffer, dnorm_weight: Buffer, dnorm_bias: Buffer, accumulate_norm: boolean, dvalues: Buffer, accumulate_dvalues: boolean): void;
  dense_conv_forward(x: Buffer, weight: Buffer, shape: ConvShape, y: Buffer): void;
  dense_conv_backward_data(dy: Buffer, weight: Buffer, shape: ConvShape, dx: Buffer, accumulate: boolean): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  dense_conv_backward_weight(x: Buffer, x_kind: Buffer, x_value: Buffer, norm_weight: Buffer, norm_bias: Buffer, norm_mean: Buffer, norm_deviation: Buffer, dy: Buffer, dy_kind: Buffer, needed: Buffer, shape: ConvShape, factor: Buffer, dweight: Buffer, accumulate: boolean): void;
  dct_conv_forward(x: Buffer, shape: ConvShape, y: Buffer): void;
  dct_conv_backward(dy: Buffer, shape: ConvShape, dx: Buffer, accumulate: boolean): void;
  batch_norm_forward(x: Buffer, x_kind: Buffer, channels: number, norm: BatchNormForward): void;
  batch_norm_backward(channels: number, norm: BatchNormBackward): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  dyrelu_forward(x: Buffer, u: Buffer, channels: number, batch: number, beta: Buffer, blend_outputs: boolean, y: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  dyrelu_backward(x: Buffer, u: Buffer, dy: Buffer, channels: number, batch: number, beta: Buffer, blend_outputs: boolean, dx: Buffer, du: Buffer): void;
  narrow(x: Buffer, y: Buffer, accumulate: boolean): void;
  widen(x: Buffer, y: Buffer, accumulate: boolean): void;
  expand_forward(x: Buffer, x_kind: Buffer, x_value: Buffer, channels: number, y: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  expand_backward(dy: Buffer, x_kind: Buffer, channels: number, dx: Buffer, dx_kind: Buffer, dx_value: Buffer, accumulate: boolean): void;
  average_pool_forward(x: Buffer, x_kind: Buffer, x_value: Buffer, channels: number, batch: number, y: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  average_pool_backward(dy: Buffer, x_kind: Buffer, channels: number, batch: number, dx: Buffer, dx_kind: Buffer, dx_value: Buffer, accumulate: boolean): void;
  max_pool_forward(x: Buffer, shape: ConvShape, y: Buffer, winner: Buffer): void;
  max_pool_backward(dy: Buffer, winner: Buffer, shape: ConvShape, dx: Buffer, accumulate: boolean): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  cross_entropy_forward(logits: Buffer, labels: Buffer, classes: number, smoothing: number, loss: Buffer, probabilities: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  cross_entropy_backward(probabilities: Buffer, labels: Buffer, dloss: Buffer, classes: number, smoothing: number, dlogits: Buffer, accumulate: boolean): void;
  count_correct(logits: Buffer, labels: Buffer, classes: number, top: number, correct: Buffer): void;
  clip_factor(sums_of_squares: Buffer, maximum: number, factor: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  sgd_step(tensors: readonly Buffer[], gradient_scale: Buffer, schedule: Buffer, momentum: number, weight_decay: number, nesterov: boolean): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  adam_step(tensors: readonly Buffer[], gradient_scale: Buffer, schedule: Buffer, beta1: number, beta2: number, epsilon: number, weight_decay: number): void;
  top_k(scores: Buffer, identity: Buffer, excluded: Buffer, key: RandomKey, positions: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  augment(images: Buffer, indices: Buffer, mean: Buffer, deviation: Buffer, shape: ConvShape, reflect: boolean, flip: boolean, random: boolean, key: RandomKey, y: Buffer): void;
}

/** With what `native/cuda/kernels.def` adds. */
export interface CudaKernels extends Kernels {
  // biome-ignore format: one kernel, one line, as in kernels.def
  cusparse_conv_forward(x: Buffer, values: Buffer, tap_start: Buffer, tap_entry: Buffer, tap_value: Buffer, nonzeros: readonly number[], shape: ConvShape, y: Buffer): void;
  // biome-ignore format: one kernel, one line, as in kernels.def
  cusparse_conv_backward(x: Buffer, dy: Buffer, values: Buffer, tap_start: Buffer, tap_entry: Buffer, tap_value: Buffer, nonzeros: readonly number[], shape: ConvShape, dx: Buffer, accumulate_dx: boolean, dvalues: Buffer, accumulate_dvalues: boolean): void;
}

export interface KernelsByType {
  readonly f32: Kernels;
  /** Activations and their gradients in bf16, all else in f32. */
  readonly bf16: Kernels;
  readonly f64: Kernels;
}

/** One way of running a network, as `native/inference/model.h` has it; src/inference writes it. */
export interface InferenceProgram {
  readonly pixel: number;
  readonly arena: number;
  readonly imagePitch: number;
  readonly image: Uint32Array;
  readonly logits: Uint32Array;
  readonly steps: Uint32Array;
  readonly rows: Uint32Array;
  readonly taps: Uint32Array;
  readonly constantRuns: Uint32Array;
  readonly constants: Uint32Array;
}

declare const model: unique symbol;
/** What went wrong in a kernel. */
export interface KernelFailure {
  readonly code: string;
  readonly message: string;
}

/** A loaded network of the addon. */
export type ModelHandle = { readonly [model]: true };

export interface VendorLibrary {
  readonly name: "cuSPARSE" | "cuBLAS";
  readonly file: string;
  readonly version: string;
  /** "" if it can be used. */
  readonly reason: string;
}

export interface Addon {
  readonly kernels: {
    readonly cpu: KernelsByType;
    /** In builds with CUDA. */
    readonly cuda?: Readonly<Record<keyof KernelsByType, CudaKernels>>;
  };
  /** Kernel name → its C++ argument list. */
  readonly signatures: Readonly<Record<string, string>>;
  /** In builds with CUDA: of the kernels that it alone has. */
  readonly cudaSignatures?: Readonly<Record<string, string>>;
  /** device (0 cpu, 1 cuda), type (0 f32, 1 f64, 2 i32, 3 u8, 4 bf16), elements → uninitialised buffer. */
  alloc(device: number, type: number, size: number): number;
  free(buffer: number): void;
  upload(buffer: number, data: ArrayBufferView, byteOffset: number): void;
  download(buffer: number, data: ArrayBufferView, byteOffset: number): void;
  /** Calls back with the bytes as they are after all work queued so far. */
  read(buffer: number, callback: (error: KernelFailure | null, bytes: ArrayBuffer) => void): void;
  /** The bytes of one buffer to another of the same size, type and device. */
  copy(from: number, to: number): void;
  /** Work that is queued again as a whole (native/cuda/graph.h); only where CUDA was built in. */
  newGraph(): number;
  beginCapture(graph: number, part: number): void;
  endCapture(graph: number): void;
  replay(graph: number, part: number): void;
  freeGraph(graph: number): void;
  /** Notes, under a number, when the GPU comes to what is queued so far; only where CUDA was built in. */
  mark(number: number): void;
  /** Waits for the queue; milliseconds of the GPU between two marks. */
  elapsed(from: number, to: number): number;
  /** In builds with CUDA: NVIDIA's libraries, which are opened for it; `reason` says why one cannot be used. */
  libraries?(): readonly VendorLibrary[];
  /** In builds with CUDA: takes into use cuBLAS, if it is there, and cuSPARSE, if asked, which then must be. */
  useLibraries?(cusparse: boolean): void;
  finished(callback: (error: KernelFailure | null) => void): void;
  wait(): void;
  randomBits(key: RandomKey, indices: Uint32Array | Int32Array | null, words: Uint32Array): void;
  memory(device: number): { live: number; peak: number; reserved: number };
  trim(device: number): void;
  /** Seconds that the CPU's queue has spent in kernels. */
  busy(): number;
  threads(count?: number): number;
  loadModel(
    image: {
      readonly channels: number;
      readonly height: number;
      readonly width: number;
      readonly mean: Float32Array;
      readonly std: Float32Array;
      /** Of bytes, for a network in integers; else empty. */
      readonly zeros: Int32Array;
    },
    programs: readonly InferenceProgram[],
    /** Called for each run, in order. Logits are [count][classes], f32 or i32. */
    answer: (error: string, logits: ArrayBuffer) => void,
  ): ModelHandle;
  /** form: 0 bytes [h][w][c], 1 bytes [c][h][w], 2 normalised floats [c][h][w]. */
  runModel(model: ModelHandle, pixels: ArrayBufferView, form: number, count: number): void;
  closeModel(model: ModelHandle): void;
  /** What there is, and why the GPU asked about (or else the one chosen) cannot be used: "" if it can. */
  devices(gpu?: number): {
    isa: "baseline" | "avx2" | "avx512";
    /** Index of the GPU that this process computes on, if it computes on one. */
    gpu: number;
    cudaBuilt: boolean;
    cudaReason: string;
    cudaDevices: string[];
  };
  /** Fails once another GPU is in use. */
  chooseGpu(index: number): void;
}

function load(): Addon {
  const require = createRequire(import.meta.url);
  const root = fileURLToPath(new URL("..", import.meta.url));
  try {
    return require("node-gyp-build")(root) as Addon;
  } catch (error) {
    throw new EastingError(
      "EASTING_ADDON",
      `native: expected an addon in ${root}build/Release or a prebuild for ${process.platform}-${process.arch}, ` +
        `got none that loads (${(error as Error).message.split("\n")[0]})`,
      "build it from source with `npm run build:native` (needs g++ and CMake)",
    );
  }
}

export const native: Addon = load();
