import { describe, expect, it } from "vitest";
import { prepare } from "../../src/east/index.js";
import { sum } from "../../src/ops/index.js";
import { prunable, snip } from "../../src/sparse/index.js";
import { trialGradients } from "../../src/sparse/scores/trial.js";
import { memory, Tensor } from "../../src/tensor/index.js";
import type { TrainContext } from "../../src/train/index.js";
import { expectClose, signed } from "../numbers.js";
import { SmallNetwork } from "./small-network.js";

const options = { dtype: "f64", training: false } as const;

describe("gradients of weights under trial", () => {
  /** Each 13th weight alone, as indices and as a dense weight with zeros. */
  function masked() {
    const model = new SmallNetwork();
    const layers = prunable(model.parameters());
    const places = layers.map(({ size }) => Int32Array.from({ length: Math.ceil(size / 13) }, (_, k) => 13 * k));
    const sparse = layers.map(({ size }, t) => ({
      indices: places[t],
      values: Float64Array.from(places[t], (at) => signed(40 + t, size)[at]),
    }));
    const dense = sparse.map(({ values }, t) => {
      const whole = new Float64Array(layers[t].size);
      for (const [k, at] of places[t].entries()) whole[at] = values[k];
      return { indices: null, values: whole };
    });
    const image = () => Tensor.from(signed(50, 64), [1, 8, 8, 1], { dtype: "f64" });
    return { model, layers, places, sparse, dense, loss: () => sum(model.forward(image())) };
  }

  it("are the same from sparse weights, computed sparsely, as from dense ones with zeros", () => {
    const { model, layers, places, sparse, dense, loss } = masked();
    const whole = trialGradients(model, layers, dense, loss, options);
    const kept = trialGradients(model, layers, sparse, loss, options);
    const all = trialGradients(model, layers, sparse, loss, { ...options, missing: true });
    for (const t of layers.keys()) {
      expectClose(
        kept[t],
        Array.from(places[t], (at) => whole[t][at]),
        { relative: 1e-12 },
      );
      expectClose(all[t], whole[t], { relative: 1e-12 });
    }
    model.dispose();
  });

  it("leave weights, statistics, gradients and mode of the network as they were, and no memory behind", () => {
    const { model, layers, sparse, loss } = masked();
    const state = () => [...model.parameters().map(({ leaf }) => leaf), ...model.buffers().values()];
    const before = state().map((tensor) => tensor.dataSync());
    const { live } = memory();
    trialGradients(model, layers, sparse, loss, { ...options, training: true, absolute: true });
    expect(memory().live).toBe(live);
    expect(model.training).toBe(true);
    expect(state().map((tensor) => tensor.dataSync())).toEqual(before);
    expect(state().map(({ gradient }) => gradient)).toEqual(before.map(() => null));
    model.dispose();
  });
});

describe("scores by images", () => {
  it("need images", async () => {
    const images = { classes: Array.from("0123456789"), shape: [3, 8, 8], mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const { model, callbacks } = prepare({ method: "snip", model: "resnet20" }, images, 100);
    const start = callbacks[0].onStart?.({ model, imageShape: images.shape, loader: null } as unknown as TrainContext);
    await expect(start).rejects.toThrow("snip: expected training images to score weights by, got none");
    model.dispose();
    expect(() => snip({ density: 0.1, steps: 10 }).initialize([], 0.1, 1)).toThrow(
      "snip: expected the network whose weights it scores, got none",
    );
  });
});
