import { describe, expect, it } from "vitest";
import { constant, Initializer, Parameter } from "../../src/nn/index.js";
import { memory, scope, Tensor, Topology } from "../../src/tensor/index.js";

const draw = () => new Parameter([3, 4], new Initializer(7).uniform(-1, 1), true);
const topology = (...indices: number[]) => new Topology([3, 4], Int32Array.from(indices));

describe("a parameter", () => {
  it("takes no memory before it is first used", () => {
    const before = memory().live;
    const parameter = new Parameter([1000, 1000], constant(0), true);
    expect(parameter.size).toBe(1_000_000);
    expect(parameter.nnz).toBe(1_000_000);
    parameter.clearGradient();
    parameter.dispose();
    expect(memory().live).toBe(before);
  });

  it("made sparse first never holds its dense weight", () => {
    const before = memory().live;
    const parameter = new Parameter([1000, 1000], new Initializer(1).uniform(-1, 1), true);
    parameter.makeSparse(new Topology([1000, 1000], Int32Array.of(3, 999_999)));
    expect(parameter.nnz).toBe(2);
    expect(memory().live - before).toBeLessThan(1000);
    parameter.dispose();
    expect(memory().live).toBe(before);
  });

  it("made sparse has the values that its dense weight has there, drawn before or not", () => {
    const [whole, early, late] = [draw(), draw(), draw()];
    const dense = whole.leaf.dataSync();
    early.makeSparse(topology(1, 5, 11));
    late.value;
    late.makeSparse(topology(1, 5, 11));
    const expected = [dense[1], dense[5], dense[11]];
    expect([...early.leaf.dataSync()]).toEqual(expected);
    expect([...late.leaf.dataSync()]).toEqual(expected);
    expect(() => late.makeSparse(topology(0))).toThrow(
      "makeSparse: expected a dense weight, got one that is sparse already",
    );
    for (const parameter of [whole, early, late]) parameter.dispose();
  });

  it("is trained: its leaf requires a gradient and outlives scopes", () => {
    const parameter = draw();
    const leaf = scope(() => parameter.leaf);
    expect(leaf.requiresGradient).toBe(true);
    scope(() => parameter.value);
    expect(parameter.leaf).toBe(leaf);
    expect(leaf.disposed).toBe(false);
    parameter.dispose();
    expect(leaf.disposed).toBe(true);
  });

  it("takes other values and another topology, and then has no gradient", () => {
    const parameter = draw();
    parameter.makeSparse(topology(0, 1));
    const old = parameter.leaf;
    old.gradient = Tensor.zeros([2]).keep();
    parameter.replace(topology(2, 3, 7), Float32Array.of(1, 2, 3));
    expect(old.disposed).toBe(true);
    expect(parameter.sparse?.topology.indices).toEqual(Int32Array.of(2, 3, 7));
    expect([...parameter.leaf.dataSync()]).toEqual([1, 2, 3]);
    expect(parameter.leaf.gradient).toBe(null);
    parameter.write([4, 5, 6]);
    expect([...parameter.leaf.dataSync()]).toEqual([4, 5, 6]);
    parameter.dispose();
  });

  it("follows a change of topology: kept values move, new ones are 0", () => {
    const parameter = draw();
    parameter.replace(topology(0, 4, 9), Float32Array.of(10, 20, 30));
    const from = Tensor.from([2, -1, 0], [3], { dtype: "i32" });
    parameter.remap(topology(1, 2, 3), from);
    expect([...parameter.leaf.dataSync()]).toEqual([30, 0, 10]);
    expect(parameter.leaf.requiresGradient).toBe(true);
    from.dispose();
    parameter.dispose();
  });

  it("shares one dense gradient over all its topologies", () => {
    const parameter = draw();
    parameter.makeSparse(topology(0));
    const { denseGradient } = parameter;
    parameter.replace(topology(1), Float32Array.of(1));
    expect(parameter.sparse?.denseGradient).toBe(denseGradient);
    parameter.dispose();
  });
});

describe("an initializer", () => {
  it("draws within ±1/√fanIn, the same for the same seed, another for the next parameter", () => {
    const values = (seed: number, skip = 0) => {
      const init = new Initializer(seed);
      for (let i = 0; i < skip; i++) init.fanIn(16);
      return init.fanIn(16)(1000);
    };
    expect(values(1).every((v) => Math.abs(v) <= 0.25)).toBe(true);
    expect(Math.max(...values(1))).toBeGreaterThan(0.24);
    expect(values(1)).toEqual(values(1));
    expect(values(2)).not.toEqual(values(1));
    expect(values(1, 1)).not.toEqual(values(1));
    expect(new Initializer(1, 1).fanIn(16)(1000)).not.toEqual(values(1));
  });
});
