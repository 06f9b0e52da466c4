import { EastingError, expected } from "../errors.js";
import { type BatchNormForward, type Kernels, type KernelsByType, native } from "../native.js";
import { type Device, defaultDevice } from "./device.js";
import { arithmetic, type Dtype, dtypes, isReal, type TypedArray } from "./dtype.js";
import { register } from "./scope.js";
import { abandoned, Storage } from "./storage.js";

export interface TensorOptions {
  dtype?: Dtype;
  device?: Device;
  /** A leaf with this flag receives `.gradient` from `backward`. */
  requiresGradient?: boolean;
}

/** What computed a tensor; written by ops, walked by `backward` and by graph readers. */
export interface TapeNode {
  readonly name: string;
  readonly order: number;
  readonly inputs: readonly (Tensor | null)[];
  readonly attributes: unknown;
  readonly saved: unknown;
  readonly output: Tensor;
  readonly compact: boolean;
  backward(context: unknown): void;
}

/** Work that has not run yet, so that what follows can join it. */
export interface Deferred {
  compute(): Tensor;
  /** Set on a normalisation: a sum and a ReLU join it, and a convolution may take it over. */
  readonly norm?: DeferredNorm;
  /** Set on a convolution: computes it together with the BatchNorm of its output. */
  readonly convolve?: (norm: (output: Tensor) => BatchNormForward) => Tensor;
}

export interface DeferredNorm {
  /** The sum that joins before the ReLU. */
  readonly residual: Tensor | null;
  readonly relu: boolean;
  /** The same normalisation with more behind it. */
  with(fused: { residual: Tensor | null; relu: boolean }): Deferred;
  /** Computes it, and writes its means over the pixels of each channel and image to `means` `[c, n]`. */
  computeWith(means: Tensor): Tensor;
  /** What is normalised, and how: for a consumer that normalises as it loads. */
  readonly source: Normalization;
}

/** BatchNorm of `x` with the statistics of this pass; `inverseDeviation` is 1 / sqrt(variance + epsilon), per channel. */
export interface Normalization {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly training: boolean;
  /** Taken once per pass, whoever asks. */
  statistics(): { readonly mean: Tensor; readonly inverseDeviation: Tensor };
}

/**
 * What is there of a compact activation's channels: kind `[c]` (i32) 1 for a plane, 0 for zero everywhere, -1 for nowhere
 * needed, 2 for one number everywhere, which `value [c]` holds. Of a gradient, `value` holds the sum over the plane.
 */
export interface Channels {
  readonly kind: Tensor;
  readonly value: Tensor;
}

/** An array of numbers on a device, with shape, and with the record of what made it. Activations are `[c, h, w, n]`. */
export class Tensor {
  gradient: Tensor | null = null;
  node: TapeNode | null = null;
  deferred: Deferred | null = null;
  /** Set on compact activations; ops that know nothing of it are handed a complete copy. */
  channels: Channels | null = null;
  requiresGradient: boolean;
  kept = false;
  #storage: Storage | null;
  #device: Device;
  #disposed = false;

  private constructor(
    readonly shape: readonly number[],
    readonly dtype: Dtype,
    device: Device,
    storage: Storage | null,
    requiresGradient: boolean,
  ) {
    this.#device = device;
    this.#storage = storage;
    this.requiresGradient = requiresGradient;
    if (!register(this) && storage) abandoned.register(this, storage, this);
  }

  /** Uninitialised memory. */
  static empty(shape: readonly number[], options: TensorOptions = {}): Tensor {
    const { dtype = "f32", device = defaultDevice, requiresGradient = false } = options;
    for (const extent of shape)
      if (!Number.isInteger(extent) || extent < 0)
        throw expected("tensor", "a shape of non-negative integers", `[${shape.join(", ")}]`);
    const storage = new Storage(device, dtype, sizeOf(shape));
    return new Tensor([...shape], dtype, device, storage, requiresGradient);
  }

  /** A copy of `data`, row-major; its length must be the product of `shape`. */
  static from(data: ArrayLike<number> | TypedArray, shape: readonly number[], options: TensorOptions = {}): Tensor {
    if (data.length !== sizeOf(shape))
      throw expected("tensor", `${sizeOf(shape)} numbers for shape [${shape.join(", ")}]`, data.length);
    const tensor = Tensor.empty(shape, options);
    tensor.write(data);
    return tensor;
  }

  static zeros(shape: readonly number[], options: TensorOptions = {}): Tensor {
    return Tensor.full(shape, 0, options);
  }

  static full(shape: readonly number[], value: number, options: TensorOptions = {}): Tensor {
    const tensor = Tensor.empty(shape, options);
    if (isReal(tensor.dtype)) tensor.kernels.fill(tensor.buffer, value);
    else tensor.write(new dtypes[tensor.dtype].array(tensor.size).fill(value));
    return tensor;
  }

  /** A tensor whose values are computed when first read, or never if what follows absorbs it. */
  static defer(like: Tensor, deferred: Deferred, shape: readonly number[] = like.shape): Tensor {
    const tensor = new Tensor(shape, like.dtype, like.device, null, false);
    tensor.deferred = deferred;
    return tensor;
  }

  get size(): number {
    return sizeOf(this.shape);
  }
  get device(): Device {
    return this.#device;
  }
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Whether no other tensor shares this one's memory. */
  get owned(): boolean {
    return this.#storage?.owners === 1;
  }

  /** Handle of the addon's buffer; computes a deferred tensor. */
  get buffer(): number {
    if (this.#disposed)
      throw new EastingError(
        "EASTING_DISPOSED",
        `tensor: expected a live tensor of shape [${this.shape.join(", ")}], got one that was disposed`,
        "mark it with keep() or return it from its scope",
      );
    if (!this.#storage) this.materialize();
    return (this.#storage as Storage).handle;
  }

  /** The addon's kernels for this tensor's number type. */
  get kernels(): Kernels {
    if (!isReal(this.dtype)) throw expected("tensor", "f32, bf16 or f64 numbers", this.dtype);
    return (native.kernels[this.device] as KernelsByType)[this.dtype];
  }

  /** Computes a deferred tensor now, in the given way; a no-op for any other. */
  materialize(run = (deferred: Deferred) => deferred.compute()): void {
    const { deferred } = this;
    if (!deferred) return;
    this.deferred = null;
    const result = run(deferred);
    this.#storage = result.#storage;
    result.#storage = null; // moved: there is one owner
    this.channels = result.channels;
    this.requiresGradient = result.requiresGradient;
    if (result.node) this.node = { ...result.node, output: this };
    result.dispose();
  }

  /** The same memory under another shape of the same size. Not recorded: use the `reshape` op for gradients. */
  view(shape: readonly number[]): Tensor {
    if (sizeOf(shape) !== this.size) throw expected("view", `${this.size} elements`, `shape [${shape.join(", ")}]`);
    void this.buffer;
    return new Tensor([...shape], this.dtype, this.device, (this.#storage as Storage).share(), false);
  }

  /** Overwrites the contents. */
  write(data: ArrayLike<number> | TypedArray): void {
    if (data.length !== this.size) throw expected("write", `${this.size} numbers`, data.length);
    const { array } = dtypes[this.dtype];
    if (this.dtype === "bf16") {
      using exact = Tensor.from(data, this.shape, { device: this.device });
      this.kernels.narrow(exact.buffer, this.buffer, false);
      return;
    }
    native.upload(this.buffer, data instanceof array ? data : array.from(data as ArrayLike<number>), 0);
  }

  /** Moves the contents, and the gradient's, to another device: whoever holds this tensor finds it there. Blocks. */
  moveTo(device: Device): this {
    if (device === this.#device) return this;
    const data = this.dataSync();
    const storage = new Storage(device, this.dtype, this.size);
    if (abandoned.unregister(this)) abandoned.register(this, storage, this);
    this.#storage?.release();
    this.#storage = storage;
    this.#device = device;
    this.channels = null; // what was read is complete
    this.write(data);
    this.gradient?.moveTo(device);
    return this;
  }

  /** The contents as all work queued so far leaves them; the event loop runs meanwhile. */
  async data(): Promise<TypedArray> {
    const { buffer, dtype } = this;
    if (this.channels || dtype === "bf16") {
      using plain = this.channels ? expand(this) : convert(this, "f32");
      return plain.data();
    }
    return new Promise((resolve, reject) => {
      native.read(buffer, (error, bytes) =>
        error ? reject(new EastingError(error.code, error.message)) : resolve(new dtypes[dtype].array(bytes)),
      );
    });
  }

  /** The contents; blocks until all work queued so far is done. */
  dataSync(): TypedArray {
    void this.buffer;
    if (this.channels) return expand(this).dataSync();
    if (this.dtype === "bf16") {
      using exact = convert(this, "f32");
      return exact.dataSync();
    }
    const result = new dtypes[this.dtype].array(this.size);
    native.download(this.buffer, result, 0);
    return result;
  }

  /** The number in a tensor of one element; blocks like `dataSync`. */
  item(): number {
    if (this.size !== 1) throw expected("item", "a tensor of one element", `shape [${this.shape.join(", ")}]`);
    return this.dataSync()[0];
  }

  /** Keeps this tensor alive beyond its scope, until `dispose()`. */
  keep(): this {
    this.kept = true;
    for (const part of Object.values(this.channels ?? {}) as Tensor[]) part.keep();
    return this;
  }

  /** Frees the memory; later use is an error with code EASTING_DISPOSED. Safe to call twice. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    abandoned.unregister(this);
    this.#storage?.release();
    this.#storage = null;
    this.deferred = null;
    this.node = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A complete copy of a compact activation `[c, …]`. */
export function expand(x: Tensor): Tensor {
  const { kind, value } = x.channels as Channels;
  const y = Tensor.empty(x.shape, { dtype: x.dtype, device: x.device });
  x.kernels.expand_forward(x.buffer, kind.buffer, value.buffer, x.shape[0], y.buffer);
  return y;
}

/** A copy in the other of the two number types that a network may mix; to bf16 rounds to the nearest, ties to even. */
export function convert(x: Tensor, dtype: "f32" | "bf16"): Tensor {
  const y = Tensor.empty(x.shape, { dtype, device: x.device });
  addConverted(x, y, false);
  return y;
}

/** Writes `x` into `y`, or adds it; one of them is f32, the other bf16. */
export function addConverted(x: Tensor, y: Tensor, accumulate: boolean): void {
  if (y.dtype === "bf16") y.kernels.narrow(x.buffer, y.buffer, accumulate);
  else x.kernels.widen(x.buffer, y.buffer, accumulate);
}

/** Room for the channels of a compact tensor, for a kernel to fill. */
export function emptyChannels(like: Tensor): Channels {
  const { device, dtype, shape } = like;
  return {
    kind: Tensor.empty([shape[0]], { dtype: "i32", device }),
    value: Tensor.empty([shape[0]], { dtype: arithmetic(dtype), device }),
  };
}

/** Product of the extents. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}
