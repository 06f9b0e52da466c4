import type { Batch } from "../data/index.js";
import { native } from "../native.js";
import type { Parameter } from "../nn/index.js";
import { defaultDevice, scope, Tensor } from "../tensor/index.js";

/** What was captured, and the tensors that it reads and writes. */
interface Captured {
  readonly signature: readonly unknown[];
  readonly batch: Batch;
  readonly results: readonly Tensor[];
  readonly gradients: readonly (Tensor | null)[];
  updates: boolean;
}

const compute = 0;
const update = 1;

/**
 * A training step's work on the device. On a GPU the second step of a network that stands still is captured and replayed
 * from then on, without JavaScript's share in it; after a change of weights' places, batch size or parameters the next
 * steps run by themselves again. On the CPU every step does. Results are the same bits either way.
 */
export class StepGraph {
  readonly #graph = defaultDevice === "cuda" ? native.newGraph() : null;
  #captured: Captured | null = null;
  #last: readonly unknown[] = [];
  #eager = true;

  /** Runs `work`, which leaves gradients; `still` is false for a step that does more or less than the others. */
  compute(
    batch: Batch,
    parameters: readonly Parameter[],
    still: boolean,
    work: (batch: Batch) => readonly Tensor[],
  ): readonly Tensor[] {
    const { images, count } = batch;
    const signature = [count, images.dtype, ...parameters.flatMap(({ leaf, sparse }) => [leaf, sparse?.topology])];
    const like = (other: readonly unknown[]) =>
      other.length === signature.length && signature.every((value, i) => value === other[i]);
    const usable = still && this.#graph !== null;
    if (!usable || !like(this.#captured?.signature ?? [])) {
      this.#eager = !usable || !like(this.#last);
      this.#last = usable ? signature : [];
      if (this.#eager) return scope(() => work(batch));
      this.#release();
      const own = {
        images: Tensor.empty(images.shape, { dtype: images.dtype }).keep(),
        labels: Tensor.empty(batch.labels.shape, { dtype: "i32" }).keep(),
        count,
      };
      const results = this.#capture(compute, () => work(own));
      const gradients = parameters.map(({ leaf }) => leaf.gradient);
      this.#captured = { signature, batch: own, results, gradients, updates: false };
    }
    const captured = this.#captured as Captured;
    this.#eager = false;
    native.copy(images.buffer, captured.batch.images.buffer);
    native.copy(batch.labels.buffer, captured.batch.labels.buffer);
    for (const [i, { leaf }] of parameters.entries()) leaf.gradient = captured.gradients[i];
    native.replay(this.#graph as number, compute);
    return captured.results;
  }

  /** Runs `work`, which takes the gradients to the weights; what changes from step to step must lie in memory before. */
  update(work: () => void): void {
    if (this.#eager) {
      scope(work);
      return;
    }
    const captured = this.#captured as Captured;
    if (!captured.updates) this.#capture(update, work);
    captured.updates = true;
    native.replay(this.#graph as number, update);
  }

  /** Gives back what the step made. */
  finish(batch: Batch, results: readonly Tensor[], parameters: readonly Parameter[]): void {
    for (const parameter of parameters)
      if (this.#eager) parameter.clearGradient();
      else parameter.leaf.gradient = null;
    if (this.#eager) for (const tensor of results) tensor.dispose();
    batch.images.dispose();
    batch.labels.dispose();
  }

  dispose(): void {
    this.#release();
    if (this.#graph !== null) native.freeGraph(this.#graph);
  }

  #capture<T>(part: number, work: () => T): T {
    native.beginCapture(this.#graph as number, part);
    try {
      return scope(() => {
        const result = work();
        if (Array.isArray(result)) for (const tensor of result as Tensor[]) tensor.keep();
        return result;
      });
    } finally {
      native.endCapture(this.#graph as number);
    }
  }

  #release(): void {
    const captured = this.#captured;
    this.#captured = null;
    if (!captured) return;
    const { images, labels } = captured.batch;
    for (const tensor of [images, labels, ...captured.results, ...captured.gradients]) tensor?.dispose();
  }
}
