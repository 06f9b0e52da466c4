import type { Loader } from "../data/index.js";
import type { Module, Parameter } from "../nn/index.js";
import type { Clip, Optimizer } from "../optim/index.js";
import type { JsonObject, SectionData } from "./checkpoint.js";
import type { TrainEvent } from "./events.js";

/** What a callback may look at and change. */
export interface TrainContext {
  readonly model: Module;
  readonly optimizer: Optimizer;
  /** Trained parameters; read again after a callback replaces or retires some. */
  parameters(): readonly Parameter[];
  /** Steps of the whole run, and of one epoch. */
  readonly steps: number;
  readonly stepsPerEpoch: number;
  readonly imageShape: readonly [number, number, number];
  /** The images; null where a network is only looked at. */
  readonly loader: Loader | null;
  /** Whether a checkpoint is loaded after `onStart`. */
  readonly resuming: boolean;
  /** How gradients are clipped; left out where they are not. */
  readonly clip?: Clip;
  /** Of the loss; 0 when left out. */
  readonly labelSmoothing?: number;
  /** Learning rate of the present step. */
  readonly learningRate: number;
  /** Adds an event to the run. */
  emit(event: TrainEvent): void;
}

/**
 * Something that takes part in training. `step` counts optimizer steps from 1. State must depend on nothing but the
 * steps taken, and travels in the checkpoint, so that a resumed run equals an uninterrupted one.
 */
export interface Callback {
  readonly name: string;
  /** Before anything is trained or restored. */
  onStart?(context: TrainContext): void | Promise<void>;
  /** Before the forward pass of `step`. */
  onStepStart?(context: TrainContext, step: number): void | Promise<void>;
  /** After the backward pass of `step`, before the optimizer looks at the gradients. */
  onBackward?(context: TrainContext, step: number): void;
  /** True where a change of topology takes the place of the optimizer's step. */
  replacesStep?(step: number): boolean;
  /** After the optimizer took `step`. */
  onStepEnd?(context: TrainContext, step: number): void | Promise<void>;
  /** When training ends, also by an error or because nobody asks for more: give back what is held. */
  onEnd?(): void;
  /** Numbers for the step and epoch events, such as density or beta. */
  report?(context: TrainContext, step: number): Record<string, number>;
  /** Costlier numbers, for epoch events only. */
  reportEpoch?(context: TrainContext): Record<string, number>;
  /** False while the network is not yet what it will be (denser, dynamic): its accuracy does not count as best. */
  final?(step: number): boolean;
  state?(): { header?: JsonObject; sections?: ReadonlyMap<string, SectionData> };
  /** Takes back what `state` gave; before the network's own weights are. */
  load?(
    context: Pick<TrainContext, "model" | "optimizer">,
    header: JsonObject,
    sections: ReadonlyMap<string, SectionData>,
  ): void;
}
