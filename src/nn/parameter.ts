import { expected } from "../errors.js";
import { DenseGradient, type Device, SparseTensor, sizeOf, Tensor, type Topology } from "../tensor/index.js";

/** Initial values at flat positions of the dense shape, or of all of it for a count. */
export type Initial = (at: number | Int32Array) => Float32Array;

/**
 * A trainable weight of a module, dense or sparse. It takes memory when first used, so a network made sparse before its
 * first step never holds dense weights.
 */
export class Parameter {
  /** Path in the module tree, set by `Module.namedParameters`. */
  name = "";
  /** Shared by all topologies of this parameter. */
  readonly denseGradient = new DenseGradient();
  #value: Tensor | SparseTensor | null = null;
  #substitute: Tensor | SparseTensor | null = null;

  constructor(
    readonly shape: readonly number[],
    private readonly initial: Initial,
    /** Whether sparse methods may remove entries: convolution and classifier weights. */
    readonly prunable = false,
  ) {}

  /** Entries of the dense shape. */
  get size(): number {
    return sizeOf(this.shape);
  }
  get value(): Tensor | SparseTensor {
    if (this.#substitute) return this.#substitute;
    this.#value ??= trainable(this.initial(this.size), this.shape);
    return this.#value;
  }
  get sparse(): SparseTensor | null {
    const value = this.#substitute ?? this.#value;
    return value instanceof SparseTensor ? value : null;
  }
  /** The tensor that is trained: the values of a sparse weight, or the dense weight. */
  get leaf(): Tensor {
    return this.value instanceof SparseTensor ? this.value.values : this.value;
  }
  /** Entries that exist. */
  get nnz(): number {
    return this.sparse?.nnz ?? this.size;
  }

  /** Initial values at flat positions, or of the whole dense weight. */
  drawn(at: Int32Array | number): Float32Array {
    return this.initial(at);
  }

  /** Keeps only the weights of `topology`; those not drawn yet are drawn as they would have been in the dense weight. */
  makeSparse(topology: Topology): void {
    if (this.sparse) throw expected(`${this.name}.makeSparse`, "a dense weight", "one that is sparse already");
    const dense = (this.#value as Tensor | null)?.dataSync();
    const values = dense ? Float32Array.from(topology.indices, (i) => dense[i]) : this.initial(topology.indices);
    this.replace(topology, values);
  }

  /** Replaces weight and topology by a sparse weight with these values. */
  replace(topology: Topology, values: Float32Array): void {
    this.dispose();
    this.#value = new SparseTensor(topology, trainable(values, [topology.nnz]), this.denseGradient);
  }

  /** Moves to a new topology: value j is the old value at position `from[j]`, or a new weight (0) where that is -1. */
  remap(topology: Topology, from: Tensor): void {
    const old = this.leaf;
    const values = Tensor.empty([topology.nnz], { device: old.device, requiresGradient: true }).keep();
    old.kernels.gather(old.buffer, from.buffer, values.buffer);
    this.dispose();
    this.#value = new SparseTensor(topology, values, this.denseGradient);
  }

  /** Overwrites the values without changing shape or topology. */
  write(values: ArrayLike<number>): void {
    this.leaf.write(values);
  }

  /** Lets layers compute with `value` in the place of this weight; null brings the weight back. */
  substitute(value: Tensor | SparseTensor | null): void {
    this.#substitute = value;
  }

  /** Moves what is there to another device; what has yet to be drawn is drawn where tensors live by then. */
  to(device: Device): void {
    if (!this.#value) return;
    this.leaf.moveTo(device);
    this.sparse?.topology.dispose(); // its orders are derived again
  }

  clearGradient(): void {
    if (!this.#value) return;
    this.leaf.gradient?.dispose();
    this.leaf.gradient = null;
  }

  dispose(): void {
    if (!this.#value) return;
    this.clearGradient();
    this.leaf.dispose();
    this.sparse?.topology.dispose();
    this.#value = null;
  }
}

function trainable(values: Float32Array, shape: readonly number[]): Tensor {
  return Tensor.from(values, shape, { requiresGradient: true }).keep();
}
