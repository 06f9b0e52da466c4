import { describe, expect, it } from "vitest";
import { memoryDataset } from "../../src/data/dataset.js";
import { imageFormat, type TrainConfigInput, train } from "../../src/east/index.js";
import { type Initial, Module, Parameter } from "../../src/nn/index.js";
import { globalAveragePool, linear } from "../../src/ops/index.js";
import { type ClipMode, SGD, stepDecay } from "../../src/optim/index.js";
import { rigl, SparseTraining } from "../../src/sparse/index.js";
import { memory, resolveDevice, synchronize, type Tensor, Topology } from "../../src/tensor/index.js";
import { type Callback, type Checkpoint, type FitOptions, fit, type TrainEvent } from "../../src/train/index.js";
import { collect, failure, fewDigits, only, TinyNetwork } from "./tiny.js";

const zeros: Initial = (at) => new Float32Array(typeof at === "number" ? at : at.length);

/** Two inputs, two classes, all weights 0; only the diagonal exists. */
class Diagonal extends Module {
  readonly weight = new Parameter([2, 2], zeros, true);

  constructor() {
    super();
    this.weight.makeSparse(new Topology([2, 2], Int32Array.of(0, 3)));
  }
  forward(x: Tensor): Tensor {
    return linear(globalAveragePool(x), this.weight.value);
  }
}

/** One image whose channels are 3 and 4 after normalisation, of class 0. */
const threeFour = memoryDataset(
  {
    name: "one image",
    classes: ["0", "1"],
    shape: [2, 1, 1],
    mean: [0, 0],
    std: [1 / 3, 1 / 4],
    augmentation: { pad: 0, mode: "zero", flip: false },
    hash: "",
    note: null,
  },
  Uint8Array.of(255, 255, 255, 255),
  Int32Array.of(0, 0),
  { train: 1, validation: 0, test: 1 },
);

describe("clipping of gradients to norm 1", () => {
  // Logits 0, probabilities 1/2: the gradient is (-1/2, 1/2) times (3, 4), that is (-1.5, -2; 1.5, 2). The weights that
  // exist have (-1.5, 2), of norm 2.5; all positions together have norm √12.5 = 3.5355.
  it.each<[ClipMode, number[]]>([
    ["off", [1.5, -2]],
    ["active", [1.5 / 2.5, -2 / 2.5]],
    ["dense", [1.5 / Math.sqrt(12.5), -2 / Math.sqrt(12.5)]],
  ])("%s moves the weights by %j at learning rate 1", async (mode, moved) => {
    const model = new Diagonal();
    const optimizer = new SGD({ momentum: 0, weightDecay: 0 });
    const options = { epochs: 1, batch: 1, seed: 1, optimizer, learningRate: () => 1 };
    const [, step] = await collect(fit(model, threeFour, { ...options, clip: { mode, maximum: 1 } }));
    expect(step).toMatchObject({ type: "step", loss: expect.closeTo(Math.log(2), 6), accuracy: 1 });
    expect(Array.from(model.weight.leaf.dataSync())).toEqual(moved.map((value) => expect.closeTo(value, 5)));
    expect(model.weight.denseGradient.tensor).toBe(null);
    model.dispose();
  });

  it("leaves gradients of a smaller norm alone", async () => {
    const model = new Diagonal();
    const optimizer = new SGD({ momentum: 0, weightDecay: 0 });
    const options = { epochs: 1, batch: 1, seed: 1, optimizer, learningRate: () => 1 };
    await collect(fit(model, threeFour, { ...options, clip: { mode: "dense", maximum: 3.6 } }));
    expect(Array.from(model.weight.leaf.dataSync())).toEqual([1.5, -2]);
    model.dispose();
  });
});

/** Trains the tiny network on 20 digits, 8 a step: 3 steps an epoch, the last of 4. */
async function tiny(options: Partial<FitOptions> = {}, onEvent: (event: TrainEvent) => void = () => {}) {
  const model = new TinyNetwork();
  const optimizer = new SGD();
  const events: TrainEvent[] = [];
  const defaults = { epochs: 2, batch: 8, seed: 1, optimizer, learningRate: () => 0.1 };
  try {
    for await (const event of fit(model, fewDigits(20), { ...defaults, ...options })) {
      events.push(event);
      onEvent(event);
    }
  } finally {
    model.dispose();
    optimizer.dispose();
  }
  return events;
}

/** Notes which of its methods is called, and with which step. */
function recorder(): { calls: string[]; callback: Callback } {
  const calls: string[] = [];
  const note = (name: string) => (_: unknown, step?: number) => void calls.push(step ? `${name} ${step}` : name);
  const callback: Callback = {
    name: "recorder",
    onStart: note("start"),
    onStepStart: note("before"),
    onStepEnd: note("after"),
    report: () => ({ answer: 42 }),
    reportEpoch: () => ({ costly: 7 }),
  };
  return { calls, callback };
}

describe("fit", () => {
  it("yields a start, every step, every epoch with its validation, and an end with the test accuracy", async () => {
    const events = await tiny();
    expect(events.map(({ type, step }) => `${type} ${step}`)).toEqual([
      "start 0",
      ...["step 1", "step 2", "step 3", "epoch 3"],
      ...["step 4", "step 5", "step 6", "epoch 6"],
      "end 6",
    ]);
    expect(events[0]).toMatchObject({ steps: 6, stepsPerEpoch: 3, epochs: 2, device: resolveDevice().reason });
    const [first, second] = only(events, "epoch");
    expect([first.epoch, second.epoch]).toEqual([1, 2]);
    const steps = only(events, "step").slice(0, 3);
    const mean = (8 * steps[0].loss + 8 * steps[1].loss + 4 * steps[2].loss) / 20;
    expect(first.trainLoss).toBeCloseTo(mean, 10);
    expect(first.trainAccuracy).toBeCloseTo(
      (8 * steps[0].accuracy + 8 * steps[1].accuracy + 4 * steps[2].accuracy) / 20,
    );
    const [end] = only(events, "end");
    for (const accuracy of [end.testAccuracy, end.bestAccuracy, first.validationAccuracy])
      expect(Number.isInteger(Math.round((accuracy ?? -1) * 20 * 1e9) / 1e9)).toBe(true);
    expect(end.imagesPerSecond).toBeGreaterThan(0);
  });

  it("reports images per second of the images it trained, also where the last batch of an epoch is smaller", async () => {
    const [epoch] = only(await tiny(), "epoch");
    expect(epoch.imagesPerSecond * epoch.seconds).toBeCloseTo(20, 6);
  });

  it("calls callbacks around every step and adds what they report", async () => {
    const { calls, callback } = recorder();
    const events = await tiny({ epochs: 1, callbacks: [callback] });
    expect(calls).toEqual(["start", "before 1", "after 1", "before 2", "after 2", "before 3", "after 3"]);
    expect(only(events, "step")[0]).toMatchObject({ answer: 42 });
    expect(only(events, "epoch")[0]).toMatchObject({ answer: 42, costly: 7 });
    expect(only(events, "end")[0]).toMatchObject({ answer: 42 });
  });

  it("takes the learning rate of the steps taken before", async () => {
    const events = await tiny({ learningRate: stepDecay({ initial: 1, factor: 0.1, milestones: [2, 4] }) });
    const rates = [1, 1, 0.1, 0.1, 0.01, 0.01].map((rate) => expect.closeTo(rate, 10));
    expect(only(events, "step").map(({ learningRate }) => learningRate)).toEqual(rates);
  });

  it("counts an epoch as best only where every callback calls the network final", async () => {
    const late: Callback = { name: "late", final: (step) => step >= 6 };
    const never: Callback = { name: "never", final: () => false };
    const saved: boolean[] = [];
    const save = async ({ best }: Checkpoint) => {
      saved.push(best);
      return "";
    };
    expect(only(await tiny({ callbacks: [late], save }), "end")[0].bestAccuracy).not.toBe(null);
    expect(only(await tiny({ callbacks: [never], save }), "end")[0].bestAccuracy).toBe(null);
    expect(saved).toEqual([false, true, false, false]);
  });

  it("trains on its own without validation images, and then has no best", async () => {
    const model = new TinyNetwork();
    const options = { epochs: 1, batch: 8, seed: 1, optimizer: new SGD(), learningRate: () => 0.1 };
    const events = await collect(fit(model, fewDigits(20, 0), options));
    expect(only(events, "epoch")[0]).toMatchObject({ validationLoss: null, validationAccuracy: null });
    expect(only(events, "end")[0].bestAccuracy).toBe(null);
    model.dispose();
    options.optimizer.dispose();
  });

  it.each([
    [{ epochs: 0 }, "epochs: expected a whole number of at least 1, got 0"],
    [{ epochs: 1.5 }, "epochs: expected a whole number of at least 1, got 1.5"],
    [{ batch: 0 }, "batch: expected a whole number of at least 1, got 0"],
    [{ seed: -1 }, "seed: expected an integer from 0 to 4294967295, got -1"],
  ])("refuses %j", async (options, message) => {
    expect((await failure(tiny(options))).message).toBe(message);
  });

  it("leaves the event loop free while a step computes", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const config: TrainConfigInput = { model: "resnet20", method: "dense", epochs: 1, batch: 128 };
    const steps = only(await collect(train(config, fewDigits(512))), "step").length;
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(2 * steps);
  });
});

describe("leaving the loop", () => {
  it("stops training after the current step and frees what training held", async () => {
    await synchronize();
    const { live } = memory();
    const { calls, callback } = recorder();
    const model = new TinyNetwork();
    const optimizer = new SGD();
    const sparse = new SparseTraining(rigl({ density: 0.5, steps: 6, interval: 2 }), {
      seed: 1,
      density: 0.5,
      fullSize: 76,
    });
    const options = { epochs: 2, batch: 8, seed: 1, optimizer, learningRate: () => 0.1 };
    for await (const event of fit(model, fewDigits(20), { ...options, callbacks: [sparse, callback] }))
      if (event.type === "topology") break;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(calls.at(-1)).toBe("after 2");
    model.dispose();
    optimizer.dispose();
    expect(memory().live).toBe(live);
  });

  it("by an error in a callback passes it on, and the next training works", async () => {
    await synchronize();
    const { live } = memory();
    const broken: Callback = {
      name: "broken",
      onStepEnd: (_, step) => {
        if (step === 2) throw new RangeError("no more");
      },
    };
    expect(await failure(tiny({ callbacks: [broken] }))).toMatchObject({ name: "RangeError", message: "no more" });
    expect(memory().live).toBe(live);
    expect((await tiny()).at(-1)?.type).toBe("end");
    expect(memory().live).toBe(live);
  });

  it("of train() frees the network too", async () => {
    const data = fewDigits(40);
    expect(imageFormat(data).shape).toEqual([1, 8, 8]);
    await synchronize();
    const { live } = memory();
    const config: TrainConfigInput = { model: "resnet20", sparsity: 90, epochs: 2, batch: 16, cycleUpdateEvery: 1 };
    for await (const event of train(config, data)) if (event.step === 3) break;
    expect(memory().live).toBe(live);
    await collect(train(config, data));
    expect(memory().live).toBe(live);
  });
});

describe("an AbortSignal", () => {
  it("stops training after the step it arrives in and saves that step", async () => {
    const stop = new AbortController();
    const saved: number[] = [];
    const save = async ({ step }: Checkpoint) => {
      saved.push(step);
      return `step ${step}`;
    };
    const events = await tiny({ signal: stop.signal, save }, (event) => {
      if (event.type === "step" && event.step === 4) stop.abort();
    });
    expect(saved).toEqual([3, 4]);
    expect(events.slice(-2)).toEqual([
      { type: "checkpoint", step: 4, path: "step 4", best: false },
      { type: "interrupted", step: 4, path: null },
    ]);
  });

  it("that arrives in the last step of an epoch saves it once; in the very last step training just ends", async () => {
    for (const at of [3, 6]) {
      const stop = new AbortController();
      const saved: number[] = [];
      const save = async ({ step }: Checkpoint) => {
        saved.push(step);
        return "";
      };
      const events = await tiny({ signal: stop.signal, save }, (event) => {
        if (event.type === "step" && event.step === at) stop.abort();
      });
      expect(saved).toEqual(at === 3 ? [3] : [3, 6]);
      expect(events.at(-1)?.type).toBe(at === 3 ? "interrupted" : "end");
    }
  });

  it("without a place to save just stops", async () => {
    const events = await tiny({ signal: AbortSignal.abort() });
    expect(events.map(({ type }) => type)).toEqual(["start", "step", "interrupted"]);
  });
});

describe("on digits, ResNet-20 at 90 % trains", () => {
  const data = fewDigits(480, 60, 60);
  const common = {
    model: "resnet20",
    sparsity: 90,
    epochs: 3,
    batch: 32,
    learningRate: 0.05,
    updateEvery: 10,
  } as const;
  // ⌊0.1 · 270,608⌋ of the network's convolution and classifier weights of 1-channel images.
  const nnz = 27_060;

  it.each<[string, TrainConfigInput]>([
    ["with DyReLU phasing alone", { method: "rigl", dyrelu: true }],
    ["with weight sharing alone", { method: "rigl", shareRatio: 2 }],
    ["with cyclic sparsity alone", { method: "rigl", cycles: 2 }],
    ["with all three", { method: "east" }],
    ["with SET", { method: "set" }],
    ["with a static topology", { method: "static" }],
  ])("%s", async (_, config) => {
    const events = await collect(train({ ...common, ...config }, data));
    const epochs = only(events, "epoch");
    expect(epochs[2].trainLoss).toBeLessThan(0.75 * epochs[0].trainLoss);
    expect(epochs[2]).toMatchObject({ nnz, liveLogits: 10 });
    const end = only(events, "end")[0];
    expect(end).toMatchObject({ nnz });
    expect(end.density).toBeCloseTo(0.1, 4);
    expect("beta" in end).toBe(config.dyrelu === true || config.method === "east");
    const peak = Math.max(...only(events, "step").map((step) => step.nnz as number));
    expect(peak).toBeGreaterThanOrEqual(config.cycles || config.method === "east" ? 2.8 * nnz : nnz);
  });
});
