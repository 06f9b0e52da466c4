// A sparse method is a value: where the first weights go, how they are spread over layers, and how they move.
// This one replaces a tenth of every layer each 25 steps, at random for the first half, then by gradient.
import {
  buildModel,
  erdosRenyiKernel,
  fit,
  fullSize,
  Initializer,
  openDataset,
  randomTopology,
  SGD,
  SparseTraining,
} from "easting";

const [epochs, batch, seed, density] = [20, 64, 1, 0.02];
const data = await openDataset("digits");
const steps = epochs * Math.ceil(data.train.count / batch);

const explorer = {
  name: "explorer",
  initialize: randomTopology(erdosRenyiKernel),
  distribution: erdosRenyiKernel,
  plan(step) {
    if (step % 25 !== 0 || step > 0.9 * steps) return null;
    return { density, dropFraction: 0.1, drop: "magnitude", grow: step < steps / 2 ? "random" : "gradient" };
  },
};

const model = buildModel("resnet20", { classes: 10, channels: 1, init: new Initializer(seed) });
const events = fit(model, data, {
  epochs,
  batch,
  seed,
  optimizer: new SGD({ momentum: 0.9, nesterov: true, weightDecay: 1e-4 }),
  learningRate: (step) => 0.05 * (1 + Math.cos((Math.PI * step) / steps)),
  callbacks: [new SparseTraining(explorer, { seed, density, fullSize: fullSize(model) })],
});

let moved = 0;
for await (const event of events) {
  if (event.type === "topology") moved += event.grown;
  if (event.type === "epoch") console.log(event.epoch, event.trainLoss.toFixed(4), event.validationAccuracy, event.nnz);
  if (event.type === "end")
    console.log(`test accuracy ${(100 * event.testAccuracy).toFixed(2)} %, ${moved} weights moved`);
}
model.dispose();
