import { expect, it } from "vitest";
import { compile, encodeModel, decodeModel, interpret } from "../../src/compile/index.js";
import { load, Network } from "../../src/inference/index.js";
import { classNames, evaluated, imageInput, randomNetwork } from "../compile/networks.js";

const specs = [
  { model: "resnet20", density: 0.05, mask: "random", side: 32, seed: 1 },
  { model: "resnet20", density: 0.05, mask: "live", side: 31, seed: 2 },
  { model: "resnet34", density: 0.001, mask: "live", share: true, side: 32, seed: 3 },
  { model: "resnet50", density: 0.001, mask: "live", share: true, side: 32, seed: 4 },
  { model: "resnet50-imagenet", density: 0.001, mask: "live", side: 64, seed: 5 },
] as const;
it.each(specs)("$model $mask $side", async (spec) => {
  const model = randomNetwork(spec);
  const { graph } = compile(model, imageInput(spec.side), classNames(10));
  const { image, logits } = evaluated(model, spec.side);
  const oracle = interpret(graph, image);
  using net = new Network(graph);
  const [{ logits: got }] = await net.run(image);
  const scale = Math.max(...oracle.map(Math.abs));
  for (let i = 0; i < oracle.length; i++) expect(Math.abs(got[i] - oracle[i]) / scale).toBeLessThan(1e-5);
  const many = new Float32Array(33 * image.length);
  for (let i = 0; i < 33; i++) many.set(image, i * image.length);
  for (const { logits } of await net.run(many)) expect([...logits]).toEqual([...got]);
});
