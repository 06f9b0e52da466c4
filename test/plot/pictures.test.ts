import { afterEach, describe, expect, it, vi } from "vitest";
import { train } from "../../src/east/index.js";
import { plots, readRun, svg } from "../../src/plot/index.js";
import { diagnostics } from "../../src/sparse/index.js";
import { collect, failure, fewDigits, temporaryFolders } from "../train/tiny.js";
import { runOf } from "./runs.js";

const folder = temporaryFolders();
afterEach(() => vi.restoreAllMocks());

describe("pictures of runs", () => {
  it("are drawn from run folders, each with title, axes and a legend, and without complaints", async () => {
    const complaints = vi.spyOn(console, "warn");
    const runs = await Promise.all(
      ["east", "rigl"].map(async (method) => {
        const out = folder();
        const callbacks = Object.values(diagnostics).map((make) => make({ every: 1 }));
        const config = { model: "resnet20", method, sparsity: 98, epochs: 4, batch: 20, updateEvery: 3 } as const;
        await collect(train(config, fewDigits(60), { out, callbacks }));
        return readRun(out);
      }),
    );
    const drawn = new Map<string, string>();
    for (const plot of Object.values(plots)) for (const { name, spec } of plot(runs)) drawn.set(name, await svg(spec));
    expect([...drawn.keys()]).toEqual([
      ...["curves", "sparsity", "schedule", "topology", "layers-east", "layers-rigl"],
      ...["pre-activations", "gradient-flow", "histograms-east", "histograms-rigl"],
    ]);
    const texts = (name: string) =>
      [...(drawn.get(name) ?? "").matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);
    expect(texts("curves")).toEqual(
      expect.arrayContaining(["Training", "Validation accuracy", "accuracy (%)", "epoch", "east", "rigl"]),
    );
    expect(texts("schedule")).toEqual(
      expect.arrayContaining(["sparsity (%)", "β", "learning rate", "actual", "target"]),
    );
    expect(texts("layers-east")).toEqual(
      expect.arrayContaining(["Layers: east, seed 1", "conv1", "layer1.0.activation2", "fc"]),
    );
    expect(texts("gradient-flow")).toEqual(expect.arrayContaining(["stem", "layer3", "classifier", "Σ of L2 norms"]));
    expect(complaints).not.toHaveBeenCalled();
  }, 60_000);

  it("are none where runs lack what they show", () => {
    expect(Object.values(plots).flatMap((plot) => plot([runOf({})]))).toEqual([]);
  });

  it("need a run folder", async () => {
    const empty = folder();
    expect(await failure(readRun(empty))).toMatchObject({
      code: "EASTING_RUN_NOT_FOUND",
      message: `${empty}: expected a run folder, got one without receipt.json`,
    });
  });
});
