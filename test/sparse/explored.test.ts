import { describe, expect, it } from "vitest";
import { Explored } from "../../src/sparse/explored.js";
import { Topology } from "../../src/tensor/index.js";
import { sparseWeight } from "./eight.js";

describe("explored weights", () => {
  const moved = (places: readonly number[]) => {
    const weight = sparseWeight("w", [3, 5], { 0: 1, 7: 1 });
    const explored = new Explored();
    explored.add([weight]);
    weight.replace(new Topology([3, 5], Int32Array.from(places)), new Float32Array(places.length));
    explored.add([weight]);
    return { weight, explored };
  };

  it("are those that exist or ever did: of 15, places 0 and 7, then 0, 8 and 14", () => {
    const { weight, explored } = moved([0, 8, 14]);
    expect(explored.rate([weight])).toBe(4 / 15);
    weight.dispose();
  });

  it("are those that exist where none ever moved", () => {
    const weight = sparseWeight("w", [3, 5], { 0: 1, 7: 1 });
    expect(new Explored().rate([weight])).toBe(2 / 15);
    weight.dispose();
  });

  it("come back from a checkpoint", () => {
    const { weight, explored } = moved([3]);
    const restored = new Explored();
    restored.load(explored.state());
    expect(restored.rate([weight])).toBe(3 / 15);
    weight.dispose();
  });

  it("are all of a tensor that was dense", () => {
    const { weight, explored } = moved([3]);
    weight.dispose(); // the next use draws the dense weight
    explored.add([weight]);
    expect(explored.rate([weight])).toBe(1);
    weight.dispose();
  });
});
