import { SingleBar } from "cli-progress";
import type { EpochEvent, TrainEvent } from "../train/index.js";
import { count, duration, percent } from "./format.js";

type StepEvent = Extract<TrainEvent, { type: "step" }>;

/** What a step and an epoch tell besides the events' own fields. */
interface Reported {
  readonly density?: number;
  readonly beta?: number;
  readonly nnz?: number;
  readonly liveWeights?: number;
}

interface State {
  readonly epochs: number;
  readonly batch: number;
  readonly steps: number;
  readonly startedAt: number;
  readonly startedFrom: number;
  readonly live: number | null;
}

/** Shows a run: a bar on stderr where that is a terminal, and a line per epoch on stdout. */
export class TrainProgress {
  #state: State | null = null;
  #bar: SingleBar | null = null;
  #last: StepEvent | null = null;

  constructor(private readonly batch: number) {}

  show(event: TrainEvent): void {
    if (event.type === "start") this.#start(event);
    else if (event.type === "step") this.#step(event);
    else if (event.type === "epoch" && this.#state) {
      const { liveWeights = null } = event as EpochEvent & Reported;
      this.#state = { ...this.#state, live: liveWeights };
      this.line(epochLine(event, this.#state.epochs));
    }
  }

  /** Writes a line to stdout; a bar moves below it. */
  line(text: string): void {
    this.aside(() => process.stdout.write(`${text}\n`));
  }

  /** Runs what writes lines to the terminal; a bar moves below them. */
  aside(write: () => void): void {
    this.#bar?.stop();
    write();
    this.#bar?.start(this.#state?.steps ?? 0, this.#last?.step ?? this.#state?.startedFrom ?? 0, { event: this.#last });
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = null;
  }

  #start({ step, steps, epochs }: Extract<TrainEvent, { type: "start" }>): void {
    const { batch } = this;
    this.#state = { epochs, batch, steps, startedAt: performance.now(), startedFrom: step, live: null };
    if (!process.stderr.isTTY) return;
    this.#bar = new SingleBar({
      format: (_options, { progress }, { event }) =>
        barLine(event as StepEvent | null, progress, this.#state as State, process.stderr.columns || 80),
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false,
      fps: 5,
    });
    this.#bar.start(steps, step, { event: null });
  }

  #step(event: StepEvent): void {
    this.#last = event;
    this.#bar?.update(event.step, { event });
  }
}

/** The bar and its numbers, in at most `columns` characters; narrow terminals get shorter words. */
export function barLine(event: StepEvent | null, progress: number, state: State, columns: number): string {
  if (!event) return "starting";
  const { loss, accuracy, epoch, density, beta } = event as StepEvent & Reported;
  const perStep = (performance.now() - state.startedAt) / 1000 / Math.max(1, event.step - state.startedFrom);
  const left = duration((state.steps - event.step) * perStep);
  const speed = count(state.batch / perStep);
  const optional = (name: string, text: string | null) => (text === null ? [] : [`${name} ${text}`]);
  const tail = [
    ...optional("density", density === undefined ? null : percent(density)),
    ...optional("beta", beta === undefined ? null : beta.toFixed(2)),
    ...optional("live", state.live === null ? null : count(state.live)),
  ];
  const full = [
    `epoch ${epoch}/${state.epochs}`,
    `ETA ${left}`,
    `${speed} img/s`,
    `loss ${loss.toFixed(3)}`,
    `accuracy ${(100 * accuracy).toFixed(1)} %`,
    ...tail,
  ].join("  ");
  const room = columns - 1 - full.length - 4;
  if (room >= 8) {
    const size = Math.min(30, room);
    const done = Math.round(progress * size);
    return `[${"=".repeat(done)}${"-".repeat(size - done)}]  ${full}`;
  }
  const short = [`${epoch}/${state.epochs}`, `ETA ${left}`, `${speed}/s`, `loss ${loss.toFixed(2)}`];
  return [...short, `acc ${(100 * accuracy).toFixed(1)} %`, ...tail].join(" ").slice(0, columns - 1);
}

/** One line about a finished epoch. */
export function epochLine(event: EpochEvent, epochs: number): string {
  const { epoch, trainLoss, trainAccuracy, validationAccuracy, imagesPerSecond } = event;
  const { density, beta, nnz, liveWeights } = event as EpochEvent & Reported;
  const parts = [
    `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}`,
    `loss ${trainLoss.toFixed(4)}`,
    `accuracy ${percent(trainAccuracy)}`,
  ];
  if (validationAccuracy !== null) parts.push(`validation ${percent(validationAccuracy)}`);
  if (density !== undefined) parts.push(`density ${percent(density)}`);
  if (beta !== undefined) parts.push(`beta ${beta.toFixed(2)}`);
  if (liveWeights !== undefined && nnz !== undefined) parts.push(`live ${count(liveWeights)} of ${count(nnz)}`);
  parts.push(`${count(imagesPerSecond)} img/s`);
  return parts.join("  ");
}
