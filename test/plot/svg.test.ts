import { describe, expect, it } from "vitest";
import { svg } from "../../src/plot/index.js";

const spec = {
  title: "Two points",
  data: {
    values: [
      { epoch: 1, loss: 2 },
      { epoch: 2, loss: 1 },
    ],
  },
  mark: { type: "line", clip: true },
  encoding: {
    x: { field: "epoch", type: "quantitative", title: "epoch" },
    y: { field: "loss", type: "quantitative", title: "training loss" },
  },
};

describe("drawing", () => {
  it("turns a specification into the text of an SVG with its title and axes", async () => {
    const text = await svg(spec);
    expect(text).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    for (const label of ["Two points", "epoch", "training loss"]) expect(text).toContain(`>${label}</text>`);
  });

  it("gives the same bytes for the same picture", async () => {
    expect(await svg(spec)).toBe(await svg(spec));
  });
});
