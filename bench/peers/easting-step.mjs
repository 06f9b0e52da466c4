// Takes easting's side of the step benchmark: whole training steps through `fit`, one per command.
//
// Prints {"ready": …} on one line after the warm-up, then reads commands from standard input: "step" runs one step and
// prints {"ms", "cpuMs", "kernelMs", "loss"}; "quit", or the end of the input, prints {"peakRssBytes", "eventLoopP99Ms"} and ends. The same protocol
// as pytorch_step.py. A step is what training does: augmentation of a fresh batch, forward, backward, clipping where the
// configuration clips, optimizer; its time ends when all of its work is done.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import {
  fit,
  imageFormat,
  livenessOf,
  nnzOf,
  prepare,
  prunable,
  resolveCheckpoint,
  summarize,
  synchronize,
  syntheticDataset,
  Topology,
  threads,
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
    warmup: { type: "string", default: "2" },
    /** At most so many steps are asked for, warm-up included. */
    steps: { type: "string", default: "200" },
    /** Weights and masks of this checkpoint or run folder instead of random ones. */
    checkpoint: { type: "string" },
  },
});
const batch = Number(values.batch);
threads(Number(values.threads));

const growth = values.config === "growth-step";
const stepsPerCommand = growth ? growthInterval : 1;
/** At most 100 MB of them; seldom a whole epoch, whose end would fall into a step's time. */
const images = batch * Math.min(Number(values.steps) * stepsPerCommand + 1, 251);
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
const events = fit(model, data, { ...recipe.fit, callbacks: [...recipe.callbacks, ...asTrained] });

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

/** One training step, to the end of its last kernel. */
async function step() {
  const cpu = process.cpuUsage();
  const busy = native.busy();
  const start = performance.now();
  let loss = Number.NaN;
  for (;;) {
    const { value, done } = await events.next();
    if (done) throw new Error("expected a step, got the end of training: ask for fewer than --steps");
    if (value.type !== "step") continue;
    loss = value.loss;
    break;
  }
  await synchronize();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000, kernelMs: 1000 * (native.busy() - busy), loss };
}

/** The step that a command asks for; with growth steps, the ordinary ones before it too. */
async function turn() {
  const ordinary = [];
  for (let k = 1; k < stepsPerCommand; k++) ordinary.push((await step()).ms);
  return { ...(await step()), ...(growth && { ordinaryMs: ordinary }) };
}

const say = (/** @type {unknown} */ record) => process.stdout.write(`${JSON.stringify(record)}\n`);

const losses = [];
for (let k = 0; k < Number(values.warmup); k++) losses.push((await turn()).loss);
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
  say(await turn());
}
await events.return(undefined);
recipe.fit.optimizer.dispose();
model.dispose();
say({ peakRssBytes: process.resourceUsage().maxRSS * 1024, eventLoopP99Ms: delay.percentile(99) / 1e6 });
process.exit(0);
