import { describe, expect, it } from "vitest";
import { compile, extents, type Graph, logitsOf, planMemory, reads } from "../../src/compile/index.js";
import { classNames, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";

const networks: readonly NetworkSpec[] = [
  { model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 },
  { model: "resnet50", mask: "live", count: 3000, side: 32, seed: 4 },
  { model: "resnet34", mask: "random", density: 0.001, share: true, side: 32, seed: 5 },
  { model: "resnet18-imagenet", mask: "live", count: 2000, side: 64, seed: 7 },
];

function compiled(spec: NetworkSpec): Graph {
  const model = randomNetwork(spec);
  const { graph } = compile(model, imageInput(spec.side), classNames(10));
  model.dispose();
  return graph;
}

/** Walks the graph with each plane's number written into its place; true if every plane is whole when it is read. */
function keepsPlanes(graph: Graph, granularity: "row" | "step" | "block"): boolean {
  const plan = planMemory(graph, { granularity });
  const size = extents(graph);
  const arena = new Int32Array(plan.size).fill(-1);
  const place = (plane: number) => {
    const { height, width } = size.get(plane) as { height: number; width: number };
    const offset = plan.offsets.get(plane) as number;
    return arena.subarray(offset, offset + height * width);
  };
  const whole = (plane: number) => place(plane).every((owner) => owner === plane);
  for (let plane = 0; plane < graph.image.shape[0]; plane++) place(plane).fill(plane);
  for (const step of graph.steps) {
    for (const row of step.rows) {
      if (granularity === "row" && ![...reads(step, row)].every(whole)) return false;
      place(row.plane).fill(row.plane);
      if (granularity === "row" && ![...reads(step, row)].every(whole)) return false;
    }
    // Rows of a step may run at once: what they read must outlast all of them.
    if (granularity !== "row" && !step.rows.every((row) => [...reads(step, row)].every(whole))) return false;
  }
  return logitsOf(graph).rows.every(({ plane }) => whole(plane));
}

describe("a memory plan", () => {
  it.each(networks)("keeps every plane until its last reader, in $model", (spec) => {
    const graph = compiled(spec);
    expect(keepsPlanes(graph, "row")).toBe(true);
    expect(keepsPlanes(graph, "step")).toBe(true);
    expect(keepsPlanes(graph, "block")).toBe(true);
  });

  it.each(networks)("is nearly as small as can be, and smaller where rows run one by one, in $model", (spec) => {
    const graph = compiled(spec);
    const [row, step] = [planMemory(graph, { granularity: "row" }), planMemory(graph, { granularity: "step" })];
    expect(step.size).toBeLessThanOrEqual(1.02 * step.lowerBound);
    expect(row.size).toBeLessThanOrEqual(1.02 * row.lowerBound);
    expect(row.lowerBound).toBeLessThan(step.lowerBound);
  });

  it.each(networks)("lays the planes of a step side by side, if asked to, in $model", (spec) => {
    const graph = compiled(spec);
    const { offsets } = planMemory(graph, { granularity: "block" });
    for (const { rows, height, width } of graph.steps) {
      const first = offsets.get(rows[0].plane) as number;
      expect(rows.map(({ plane }) => offsets.get(plane))).toEqual(rows.map((_, i) => first + i * height * width));
    }
  });

  it("takes its sizes from the target", () => {
    const graph = compiled(networks[0]);
    const haloed = planMemory(graph, { size: ({ height, width }) => 4 * (height + 2) * (width + 2) });
    expect(haloed.size).toBeGreaterThan(4 * planMemory(graph).size);
  });
});
