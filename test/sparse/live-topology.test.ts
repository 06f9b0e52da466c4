import { describe, expect, it } from "vitest";
import { prepare, type TrainConfigInput } from "../../src/east/index.js";
import { ensureLive, livenessOf, nnzOf, prunable, synflow } from "../../src/sparse/index.js";
import { memory } from "../../src/tensor/index.js";
import type { TrainContext } from "../../src/train/index.js";

// Reachability does not depend on the size of the image.
const images = { classes: Array.from("0123456789"), shape: [3, 8, 8], mean: [0, 0, 0], std: [1, 1, 1] } as const;

async function drawn(config: TrainConfigInput) {
  const { model, callbacks } = prepare({ ensureLive: true, dyrelu: false, ...config }, images, 45_000);
  const context = { model, imageShape: images.shape } as unknown as TrainContext;
  for (const callback of callbacks) await callback.onStart?.(context);
  const parameters = prunable(model.parameters());
  const { liveWeights, liveLogits } = livenessOf(model, images.shape);
  const counts = parameters.map(({ nnz }) => nnz);
  const places = parameters.map(({ sparse }) => sparse?.topology.indices.join()).join("|");
  const result = { nnz: nnzOf(parameters), liveWeights, liveLogits, counts, places };
  model.dispose();
  return result;
}

describe("a first topology that is live", () => {
  it.each([
    ["resnet34", "rigl", 99.99, 2126],
    ["resnet34", "east", 99.99, 2126],
    ["resnet50", "rigl", 99.99, 2346],
    ["resnet50", "east", 99.99, 2346],
    ["resnet34", "set", 99.9, 21_265],
    ["resnet20", "mest", 99, 2708],
  ] as const)(
    "of %s by %s at %d percent: all %d weights lie on a path from image to logit",
    async (model, method, sparsity, nnz) => {
      const found = await drawn({ model, method, sparsity });
      expect(found.nnz).toBe(nnz);
      expect(found.liveWeights).toBe(nnz);
      expect(found.liveLogits).toBeGreaterThan(0);
    },
  );

  it("has the counts per tensor of the random one, and depends on the seed alone", async () => {
    const config = { model: "resnet34", method: "rigl", sparsity: 99.9, seed: 5 } as const;
    const [live, again, random] = [
      await drawn(config),
      await drawn(config),
      await drawn({ ...config, ensureLive: false }),
    ];
    expect(live.counts).toEqual(random.counts);
    expect(live.places).toBe(again.places);
    expect((await drawn({ ...config, seed: 6 })).places).not.toBe(live.places);
    expect(random.liveWeights).toBeLessThan(random.nnz);
  });

  it("takes no dense memory", async () => {
    await drawn({ model: "resnet50", method: "rigl", sparsity: 99.99 });
    expect(memory().peak).toBeLessThan(0.1 * 4 * 23_467_712);
  });

  it("is for methods that begin at random", () => {
    expect(() => ensureLive(synflow({ density: 0.1, steps: 10 }))).toThrow(
      "ensureLive: expected a method that begins at random, got synflow",
    );
  });
});
