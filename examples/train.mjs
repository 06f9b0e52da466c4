// Trains a ResNet-20 in which 99 of 100 weights do not exist on handwritten digits, in a few seconds.
import { openDataset, train } from "easting";

const data = await openDataset("digits");
const settings = { model: "resnet20", method: "east", sparsity: 99, epochs: 20, seed: 1 };
for await (const event of train(settings, data)) {
  if (event.type === "start") console.log(event.device);
  if (event.type === "epoch") console.log(event.epoch, event.trainLoss.toFixed(4), event.validationAccuracy, event.nnz);
  if (event.type === "end")
    console.log(`test accuracy ${(100 * event.testAccuracy).toFixed(2)} % with ${event.nnz} weights`);
}
await data.close();
