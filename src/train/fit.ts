import type { ImageDataset } from "../data/index.js";
import { type Batch, Loader } from "../data/index.js";
import { EastingError, expected } from "../errors.js";
import type { Module, Parameter } from "../nn/index.js";
import { countCorrect, crossEntropy } from "../ops/index.js";
import { type Clip, clipFactor, type Optimizer, type Schedule } from "../optim/index.js";
import { backward, type DeviceRequest, scope, synchronize, useDevice } from "../tensor/index.js";
import type { Callback, TrainContext } from "./callback.js";
import type { CheckpointContent, Json, JsonObject } from "./checkpoint.js";
import { evaluate } from "./evaluate.js";
import type { EpochEvent, TrainEvent } from "./events.js";
import { firstNonFinite } from "./finite.js";
import { collectState, restoreState } from "./state.js";
import { StepGraph } from "./step-graph.js";

export interface FitOptions {
  readonly epochs: number;
  /** Images per step. */
  readonly batch: number;
  /** Of data order and augmentation. */
  readonly seed: number;
  readonly optimizer: Optimizer;
  /** Learning rate before step s + 1, as a function of the s steps taken. */
  readonly learningRate: Schedule;
  readonly labelSmoothing?: number;
  /** How activations and their gradients are stored in training; f32 by default. Evaluation is always in f32. */
  readonly storage?: "f32" | "bf16";
  readonly clip?: Clip;
  readonly callbacks?: readonly Callback[];
  /** Stop after this step, as if interrupted. */
  readonly stopAfter?: number;
  /** Where to compute, as `useDevice` takes it: the network moves there. A GPU if there is one, by default. */
  readonly device?: DeviceRequest;
  readonly signal?: AbortSignal;
  /** Saves the state at epoch ends and when interrupted; `fit` goes on from `resume` if that is given. */
  readonly save?: (checkpoint: Checkpoint) => Promise<string>;
  /** Steps between further checkpoints; none by default. */
  readonly saveEvery?: number;
  readonly resume?: CheckpointContent | null;
  /** Goes into every checkpoint: what is needed to build the network again. */
  readonly description?: JsonObject;
}

export interface Checkpoint {
  readonly step: number;
  /** Best validation accuracy so far at final density and form. */
  readonly best: boolean;
  readonly content: CheckpointContent;
}

/** What a run knows besides its network: part of the checkpoint. */
interface Progress {
  step: number;
  lossSum: number;
  correct: number;
  images: number;
  bestValidation: number | null;
  bestTest: number | null;
}

const notBegun: Progress = { step: 0, lossSum: 0, correct: 0, images: 0, bestValidation: null, bestTest: null };

/** Thrown when loss or gradients stop being numbers; the last checkpoint is intact. */
export class NotFiniteError extends EastingError {
  constructor(step: number, loss: number, layer: string) {
    super(
      "EASTING_NOT_FINITE",
      `training: expected a finite loss at step ${step}, got ${loss}, first in ${layer}`,
      "lower the learning rate or clip gradients",
    );
  }
}

/**
 * Trains `model` on `data` and yields what happens. The event loop stays free while a step computes; breaking out of
 * the loop stops training after the current step. Same seed, same machine kind: same bits, for any number of threads
 * and across stop and resume.
 */
export async function* fit(model: Module, data: ImageDataset, options: FitOptions): AsyncGenerator<TrainEvent> {
  const { epochs, batch, seed, optimizer, callbacks = [], signal, save } = options;
  if (!Number.isInteger(epochs) || epochs < 1) throw expected("epochs", "a whole number of at least 1", epochs);
  const { device, reason } = useDevice(options.device);
  model.to(device);
  const loader = new Loader(data, batch, seed);
  const { stepsPerEpoch } = loader;
  const steps = epochs * stepsPerEpoch;
  const emitted: TrainEvent[] = [];
  const progress: Progress = { ...notBegun };
  const context: TrainContext = {
    model,
    optimizer,
    parameters: () => model.parameters(),
    steps,
    stepsPerEpoch,
    imageShape: data.shape,
    loader,
    resuming: options.resume != null,
    clip: options.clip,
    labelSmoothing: options.labelSmoothing,
    get learningRate() {
      return options.learningRate(progress.step);
    },
    emit: (event) => void emitted.push(event),
  };
  const drain = () => emitted.splice(0);

  const load = (step: number) =>
    loader.train(Math.ceil(step / stepsPerEpoch), (step - 1) % stepsPerEpoch, options.storage);
  let ahead: Promise<Batch> | null = null;

  const checkpoint = async function* (best: boolean): AsyncGenerator<TrainEvent> {
    if (!save) return;
    const content = captureRun(model, options, progress);
    const path = await save({ step: progress.step, best, content });
    yield { type: "checkpoint", step: progress.step, path, best };
  };

  const graph = new StepGraph();
  try {
    for (const callback of callbacks) await callback.onStart?.(context);
    if (options.resume) {
      restoreRun(model, optimizer, callbacks, options.resume);
      Object.assign(progress, options.resume.header.progress);
    }
    yield { type: "start", step: progress.step, steps, stepsPerEpoch, epochs, device: reason };
    yield* drain();
    const started = performance.now();
    let trained = 0; // images since then
    let epochStart = performance.now();
    let epochFrom = trained;
    let savedAt = -1;
    model.train();

    while (progress.step < steps) {
      const step = progress.step + 1;
      const epoch = Math.ceil(step / stepsPerEpoch);
      const { learningRate } = context;
      if (options.clip?.mode === "dense")
        for (const { sparse, denseGradient } of context.parameters()) denseGradient.wanted = sparse !== null;
      for (const callback of callbacks) await callback.onStepStart?.(context, step);
      const batch = await (ahead ?? load(step));
      ahead = null;
      const queued = () => {
        if (step % stepsPerEpoch === 0) return;
        ahead = load(step + 1);
        ahead.catch(() => {}); // reported when the batch is needed
      };
      const parameters = context.parameters();
      const result = await trainStep(graph, model, batch, parameters, context, options, { step, learningRate, queued });
      for (const callback of callbacks) await callback.onStepEnd?.(context, step);
      for (const { denseGradient } of parameters) denseGradient.clear();
      progress.step = step;
      progress.lossSum += result.loss * result.count;
      progress.correct += result.correct;
      progress.images += result.count;
      trained += result.count;
      const reported = Object.assign({}, ...callbacks.map((callback) => callback.report?.(context, progress.step)));
      const accuracy = result.correct / result.count;
      yield { type: "step", step, epoch, loss: result.loss, accuracy, learningRate, ...reported };
      yield* drain();

      if (step % stepsPerEpoch === 0) {
        const seconds = (performance.now() - epochStart) / 1000;
        const validation = data.validation.count > 0 ? await evaluate(model, loader, "validation") : null;
        const final = callbacks.every((callback) => callback.final?.(step) ?? true);
        const better = final && validation !== null && validation.accuracy > (progress.bestValidation ?? -1);
        if (better) {
          progress.bestValidation = validation.accuracy;
          progress.bestTest = (await evaluate(model, loader, "test")).accuracy;
        }
        const event: EpochEvent = {
          type: "epoch",
          step,
          epoch,
          trainLoss: progress.lossSum / progress.images,
          trainAccuracy: progress.correct / progress.images,
          validationLoss: validation?.loss ?? null,
          validationAccuracy: validation?.accuracy ?? null,
          learningRate,
          ...reported,
          ...Object.assign({}, ...callbacks.map((callback) => callback.reportEpoch?.(context))),
          seconds,
          imagesPerSecond: (trained - epochFrom) / seconds,
        };
        Object.assign(progress, { lossSum: 0, correct: 0, images: 0 });
        yield event;
        yield* checkpoint(better);
        savedAt = step;
        epochStart = performance.now();
        epochFrom = trained;
      } else if (options.saveEvery && step % options.saveEvery === 0) {
        yield* checkpoint(false);
        savedAt = step;
      }
      if (step < steps && (signal?.aborted || step === options.stopAfter)) {
        if (savedAt !== step) yield* checkpoint(false);
        yield { type: "interrupted", step, path: null };
        return;
      }
    }

    const seconds = (performance.now() - started) / 1000;
    const test = await evaluate(model, loader, "test");
    const reported = Object.assign({}, ...callbacks.map((callback) => callback.report?.(context, progress.step)));
    const imagesPerSecond = trained / seconds;
    const { bestTest: bestAccuracy } = progress;
    const { accuracy: testAccuracy, loss: testLoss } = test;
    yield { type: "end", step: steps, testAccuracy, testLoss, bestAccuracy, ...reported, seconds, imagesPerSecond };
  } finally {
    for (const callback of callbacks) callback.onEnd?.();
    const unused: Batch | null = (await (ahead as Promise<Batch> | null)?.catch(() => null)) ?? null;
    if (unused) discard(unused);
    loader.dispose();
    graph.dispose();
    await synchronize().catch(() => {});
  }
}

/** `queued` is called while the step computes: what it queues keeps the kernels busy until the optimizer's arrive. */
async function trainStep(
  graph: StepGraph,
  model: Module,
  batch: Batch,
  parameters: readonly Parameter[],
  context: TrainContext,
  options: FitOptions,
  { step, learningRate, queued }: { step: number; learningRate: number; queued: () => void },
): Promise<{ loss: number; correct: number; count: number }> {
  const { optimizer, labelSmoothing = 0, clip = { mode: "off", maximum: 1 }, callbacks = [] } = options;
  const replaced = callbacks.some((callback) => callback.replacesStep?.(step));
  const still = !replaced && !parameters.some(({ denseGradient }) => denseGradient.wanted) && !isListenedTo(model);
  const results = graph.compute(batch, parameters, still, ({ images, labels }) => {
    const logits = model.forward(images);
    const loss = crossEntropy(logits, labels, { labelSmoothing });
    const correct = countCorrect(logits, labels);
    backward(loss, { release: true });
    return [loss, correct];
  });
  const computed = Promise.all(results.map((tensor) => tensor.data()));
  queued();
  const [[loss], [correct]] = await computed;
  // Before the weights take the step: afterwards all of them would be NaN, and none the first.
  if (!Number.isFinite(loss)) {
    const layer = scope(() => firstNonFinite(model, crossEntropy(model.forward(batch.images), batch.labels)));
    throw new NotFiniteError(step, loss, layer);
  }
  for (const callback of callbacks) callback.onBackward?.(context, step);
  if (!replaced) {
    optimizer.prepare(parameters, { learningRate, step });
    graph.update(() => {
      const gradientScale = clip.mode === "off" ? null : clipFactor(parameters, clip.maximum, clip.mode);
      optimizer.update(parameters, gradientScale);
    });
  }
  graph.finish(batch, results, parameters);
  return { loss, correct, count: batch.count };
}

/** Whether something looks at activations, and so must be called. */
function isListenedTo(model: Module): boolean {
  return [...model.modules().values()].some((module) => "onInput" in module && module.onInput !== null);
}

function discard({ images, labels }: Batch): void {
  images.dispose();
  labels.dispose();
}

/** What a checkpoint holds: of a run that has not begun, unless `progress` says otherwise. */
export function captureRun(
  model: Module,
  { optimizer, callbacks = [], description }: Pick<FitOptions, "optimizer" | "callbacks" | "description">,
  progress: Readonly<Progress> = notBegun,
): CheckpointContent {
  const sections = collectState(model, optimizer);
  const headers: Record<string, Json> = {};
  for (const { name, state } of callbacks.map((callback) => ({ name: callback.name, state: callback.state?.() }))) {
    if (state?.header) headers[name] = state.header;
    for (const [section, data] of state?.sections ?? []) sections.set(`callback/${name}/${section}`, data);
  }
  return { header: { ...description, progress: { ...progress }, callbacks: headers }, sections };
}

/** Brings a network, its optimizer and callbacks to where a checkpoint left them. */
export function restoreRun(
  model: Module,
  optimizer: Optimizer,
  callbacks: readonly Callback[],
  content: CheckpointContent,
): void {
  const headers = (content.header.callbacks ?? {}) as JsonObject;
  for (const callback of callbacks) {
    const prefix = `callback/${callback.name}/`;
    const own = [...content.sections].filter(([name]) => name.startsWith(prefix));
    const sections = new Map(own.map(([name, data]) => [name.slice(prefix.length), data]));
    callback.load?.({ model, optimizer }, (headers[callback.name] ?? {}) as JsonObject, sections);
  }
  restoreState(model, optimizer, content);
}
