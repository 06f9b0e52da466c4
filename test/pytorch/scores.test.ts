import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Loader } from "../../src/data/index.js";
import { prunable } from "../../src/sparse/index.js";
import type { Scored } from "../../src/sparse/scores/by-score.js";
import { forceScore } from "../../src/sparse/scores/force.js";
import { graspProducts } from "../../src/sparse/scores/grasp.js";
import { snipScore } from "../../src/sparse/scores/snip.js";
import { synflowScore } from "../../src/sparse/scores/synflow.js";
import { sizeOf, Tensor } from "../../src/tensor/index.js";
import { hash32, hashAt, rounded, signed } from "../numbers.js";
import { SmallNetwork } from "../sparse/small-network.js";
import { transposed } from "./fixture.js";

type Name = "synflow" | "synflowMasked" | "snip" | "grasp" | "iterSnip" | "force";
/** What `generate_scores.py` wrote. */
const fixture: Record<Name, readonly { sum: number; every11th: readonly number[] }[]> = JSON.parse(
  readFileSync(new URL("scores.json", import.meta.url), "utf8"),
);

const kept = (t: number, f: number) => hash32(hashAt(t, f) ^ 0xa5a5a5a5) % 1000 < 300;

/** The network and images of the fixture: all of its weights, or those that are left by the mask. */
function scored(masked: boolean): { scored: Scored; places: readonly (Int32Array | null)[] } {
  const model = new SmallNetwork();
  const layers = prunable(model.parameters());
  const dense = layers.map(({ shape }, t) => {
    const scale = 1 / Math.sqrt(sizeOf(shape.slice(1)));
    return signed(7000 + t, sizeOf(shape)).map((v) => v * scale);
  });
  const places = dense.map((values, t) =>
    masked ? Int32Array.from(values.keys()).filter((f) => kept(7000 + t, f)) : null,
  );
  const weights = dense.map((values, t) => {
    const indices = places[t];
    return { indices, values: indices ? Float64Array.from(indices, (f) => values[f]) : values };
  });
  const train = async () => ({
    images: Tensor.from(transposed(rounded(signed(7100, 6 * 64)), 6), [1, 8, 8, 6]),
    labels: Tensor.from([0, 1, 2, 3, 4, 5], [6], { dtype: "i32" }),
    count: 6,
  });
  const dataset = { classes: Array.from("0123456789") };
  const loader = { batch: 100, stepsPerEpoch: 1, dataset, train } as unknown as Loader;
  const network = { model, imageShape: [1, 8, 8], loader } as const;
  return { scored: { network, layers, weights, dense: dense as unknown as Float32Array[], round: 0 }, places };
}

function expectScores(name: Name, scores: readonly ArrayLike<number>[], places: readonly (Int32Array | null)[]): void {
  for (const [t, { sum, every11th }] of fixture[name].entries()) {
    const { length } = every11th;
    const whole = new Float64Array(Math.max(...(places[t] ?? [0]), scores[t].length, 11 * length) + 1);
    for (let k = 0; k < scores[t].length; k++) whole[places[t]?.[k] ?? k] = scores[t][k];
    const total = whole.reduce((a, b) => a + b, 0);
    expect(Math.abs(total - sum), `${name}, sum of tensor ${t}`).toBeLessThanOrEqual(1e-6 * Math.abs(sum));
    const largest = every11th.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    for (const [i, value] of every11th.entries())
      expect(Math.abs(whole[11 * i] - value), `${name}, entry ${11 * i} of tensor ${t}`).toBeLessThanOrEqual(
        1e-6 * largest,
      );
  }
}

describe("scores are PyTorch's, to 1e-6 of the largest", () => {
  it("SynFlow of the whole network and of a masked one", async () => {
    const whole = scored(false);
    expectScores("synflow", await synflowScore(whole.scored), whole.places);
    const left = scored(true);
    expectScores("synflowMasked", await synflowScore(left.scored), left.places);
  });

  it("SNIP", async () => {
    const { scored: network, places } = scored(false);
    expectScores("snip", await snipScore("snip", "f64")(network), places);
  });

  it("GraSP, whose Hessian product is a difference of gradients here and a double backward there", async () => {
    const { scored: network, places } = scored(false);
    expectScores("grasp", await graspProducts(network), places);
  });

  it("iterative SNIP and FORCE, of a masked network", async () => {
    const { scored: network, places } = scored(true);
    expectScores("iterSnip", await forceScore("iter-snip", { returns: false, dtype: "f64" })(network), places);
    const all = places.map(() => null);
    expectScores("force", await forceScore("force", { returns: true, dtype: "f64" })(network), all);
  });
});
