import { beforeAll, describe, expect, it } from "vitest";
import { compile, type Graph, type Int8Graph, quantize } from "../../src/compile/index.js";
import { expectClose, hashAt } from "../numbers.js";
import { classNames, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";
import { interpreter, runtimes } from "./targets/runtimes.js";

const networks: readonly (readonly [string, NetworkSpec])[] = [
  ["a mask of live weights", { model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 }],
  ["a random mask", { model: "resnet20", mask: "random", density: 0.004, side: 16, seed: 1 }],
  ["images of odd size", { model: "resnet20", mask: "live", count: 900, side: 13, seed: 3 }],
  ["bottleneck blocks", { model: "resnet50", mask: "live", count: 3000, side: 32, seed: 4 }],
  ["shared weights", { model: "resnet34", mask: "live", count: 2000, share: true, side: 32, seed: 5 }],
  ["shared weights at random", { model: "resnet50", mask: "random", density: 0.001, share: true, side: 32, seed: 6 }],
  ["the ImageNet stem", { model: "resnet18-imagenet", mask: "live", count: 2000, side: 64, seed: 7 }],
  ["the ImageNet stem at random", { model: "resnet18-imagenet", mask: "random", density: 0.0005, side: 64, seed: 8 }],
];

const randomImage = (seed: number, side: number) =>
  Uint8Array.from({ length: 3 * side * side }, (_, i) => hashAt(seed, i));

describe.each(networks)("with %s", (_, spec) => {
  const images = [1, 2, 3].map((seed) => randomImage(seed, spec.side));
  let graph: Graph;
  let int8: Int8Graph;

  beforeAll(() => {
    const model = randomNetwork(spec);
    ({ graph } = compile(model, imageInput(spec.side), classNames(10)));
    int8 = quantize(graph, [randomImage(4, spec.side)]);
    model.dispose();
  });

  describe.each(runtimes)("$name", (runtime) => {
    it.skipIf(!runtime.here)("gives the interpreter's logits in f32, to 1e-5", async () => {
      const wanted = await interpreter.f32(graph, images);
      for (const [i, logits] of (await runtime.f32(graph, images)).entries())
        expectClose(logits, wanted[i], { relative: 1e-5 }, `logits of image ${i}`);
    });

    it.skipIf(!runtime.here)("gives the interpreter's logits in int8, bit by bit", async () => {
      expect(await runtime.int8(graph, int8, images)).toEqual(await interpreter.int8(graph, int8, images));
    });
  });
});
