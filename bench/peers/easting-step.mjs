// Takes easting's side of the step benchmark: whole training steps through `fit`, one per command.
//
// Prints {"ready": …} on one line after the warm-up, then reads commands from standard input: "step" runs one step (--repeat of them) and
// prints {"ms", "cpuMs", "kernelMs", "loss"}, means of a step; "quit", or the end of the input, prints {"peakRssBytes", "peakDeviceBytes", "eventLoopP99Ms"} and ends. The same protocol
// as pytorch_step.py. A step is what training does: augmentation of a fresh batch, forward, backward, clipping where the
// configuration clips, optimizer; its time ends when all of its work is done.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import {
  fit,
  imageFormat,
  livenessOf,
  memory,
  nnzOf,
  prepare,
  prunable,
  resolveCheckpoint,
  summarize,
  synchronize,
  syntheticDataset,
  Topology,
  threads,
  useConvAlgorithm,
  useDevice,
} from "easting";
import { native } from "../../dist/native.js";

/** Steps between topology updates, as in cyclic sparsity and the original RigL. */
const growthInterval = 100;
const never = 2 ** 31 - 1;

/** @type {Record<string, import("easting").TrainConfigInput>} */
const configs = {
  dense: { method: "dense" },
  rigl: { method: "rigl", updateEvery: never },
  // The state after the phase-out: ReLU, two blocks a stage with weights of their own, the final density.
  east: { method: "east", dyrelu: false, cycles: 0, updateEvery: never },
  // The state before it: DyReLU at beta 1. Density stays at the final one, where the cycles begin and end.
  "east-dyrelu": { method: "east", cycles: 0, updateEvery: never },
  "growth-step": { method: "rigl", updateEvery: growthInterval },
};

const { values } = parseArgs({
  options: {
    net: { type: "string", default: "resnet34" },
    sparsity: { type: "string", default: "99.9" },
    config: { type: "string", default: "rigl" },
    batch: { type: "string", default: "128" },
    threads: { type: "string", default: "2" },
    /** Of activations and their gradients: f32 or bf16. */
    storage: { type: "string", default: "f32" },
    device: { type: "string", default: "cpu" },
    /** Steps of one command; one growth step, whatever this says. */
    repeat: { type: "string", default: "1" },
    warmup: { type: "string", default: "2" },
    /** At most so many steps are asked for, warm-up included; with --repeat, so many commands and warm-up steps. */
    steps: { type: "string", default: "200" },
    /** Weights and masks of this checkpoint or run folder instead of random ones. */
    checkpoint: { type: "string" },
  },
});
const batch = Number(values.batch);
threads(Number(values.threads));

const growth = values.config === "growth-step";
const repeat = growth ? 1 : Number(values.repeat);
const [warmup, turns] = [Number(values.warmup), Number(values.steps) - Number(values.warmup)];
const steps = (growth ? growthInterval * warmup : warmup) + (growth ? growthInterval : repeat) * turns;
/** At most 100 MB of them; seldom a whole epoch, whose end would fall into a step's time. */
const images = batch * Math.min(steps + 1, 251);
const blank = syntheticDataset({ classes: 10, shape: [3, 32, 32], count: images, testCount: 1, validation: "none" });
const data = { ...blank, augmentation: /** @type {const} */ ({ pad: 4, mode: "reflect", flip: true }) };

const recipe = prepare(
  {
    model: values.net,
    sparsity: Number(values.sparsity),
    batch,
    epochs: 250,
    seed: 1,
    storage: /** @type {"f32" | "bf16"} */ (values.storage),
    ...configs[values.config],
  },
  imageFormat(data),
  data.train.count,
);
const { model } = recipe;
const { content } = values.checkpoint ? await resolveCheckpoint(values.checkpoint) : { content: null };
const asTrained = content ? [{ name: "as trained", onStart: () => loadNetwork(content) }] : [];
const device = /** @type {import("easting").DeviceRequest} */ (values.device);
useConvAlgorithm(model, recipe.config.conv, useDevice(device).device);
const events = fit(model, data, { ...recipe.fit, device, callbacks: [...recipe.callbacks, ...asTrained] });

/**
 * Weights, masks and running statistics of a trained network; what it has beyond this one (DyReLU) is left out.
 * @param {import("easting").CheckpointContent} content
 */
function loadNetwork({ sections }) {
  for (const [name, parameter] of model.namedParameters()) {
    const indices = sections.get(`topology/${name}`);
    const numbers = sections.get(`parameter/${name}`);
    if (!numbers || (!indices && numbers.length !== parameter.size))
      throw new Error(
        `checkpoint: expected ${name} as in ${values.net} ${values.config}, got ${numbers?.length ?? "none"}`,
      );
    if (indices)
      parameter.replace(
        new Topology(parameter.shape, /** @type {Int32Array} */ (indices)),
        /** @type {Float32Array} */ (numbers),
      );
    else parameter.write(numbers);
  }
  for (const [name, buffer] of model.buffers()) buffer.write(sections.get(`buffer/${name}`) ?? buffer.dataSync());
}

/** @returns {Promise<number>} the loss of the next training step */
async function loss() {
  for (;;) {
    const { value, done } = await events.next();
    if (done) throw new Error("expected a step, got the end of training: ask for fewer than --steps");
    if (value.type === "step") return value.loss;
  }
}

/** So many training steps, to the end of the last kernel. @param {number} count */
async function train(count) {
  const cpu = process.cpuUsage();
  const busy = native.busy();
  const start = performance.now();
  let last = Number.NaN;
  for (let k = 0; k < count; k++) last = await loss();
  await synchronize();
  const ms = (performance.now() - start) / count;
  const { user, system } = process.cpuUsage(cpu);
  return {
    ms,
    cpuMs: (user + system) / 1000 / count,
    kernelMs: (1000 * (native.busy() - busy)) / count,
    loss: last,
  };
}

/** What a command asks for; with growth steps, the ordinary ones before it too. @param {number} count */
async function turn(count) {
  if (!growth) return train(count);
  const ordinaryMs = [];
  for (let k = 1; k < growthInterval; k++) ordinaryMs.push((await train(1)).ms);
  return { ...(await train(1)), ordinaryMs };
}

const say = (/** @type {unknown} */ record) => process.stdout.write(`${JSON.stringify(record)}\n`);

const losses = [];
for (let k = 0; k < warmup; k++) losses.push((await turn(1)).loss);
const parameters = prunable(model.parameters());
const { liveWeights, liveLogits, layers } = livenessOf(model, data.shape);
const alive = new Map(
  parameters.map(({ name, sparse }) => [name, sparse && layers.get(sparse.topology)?.liveChannels]),
);
/** Outputs of convolutions, of one image, that are on a path from image to logit: what a step has to pass over. */
const liveOutputs = summarize(model, data.shape).layers.reduce(
  (total, { name, sharedFrom, shape, output: [h, w] }) =>
    total + (alive.get(sharedFrom ?? `${name}.weight`) ?? shape[0]) * h * w,
  0,
);
say({
  ready: true,
  ...values,
  fullWeights: recipe.fullSize,
  ownedWeights: parameters.reduce((total, { size }) => total + size, 0),
  storedWeights: nnzOf(parameters),
  liveWeights,
  liveLogits,
  liveOutputs,
  losses,
});
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "quit") break;
  say(await turn(repeat));
}
await events.return(undefined);
const { peak } = values.device === "cpu" ? { peak: 0 } : memory();
recipe.fit.optimizer.dispose();
model.dispose();
say({
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
  peakDeviceBytes: peak,
  eventLoopP99Ms: delay.percentile(99) / 1e6,
});
process.exit(0);
