import { describe, expect, it } from "vitest";
import { add, relu } from "../../src/ops/index.js";
import { memory, scope, Tensor } from "../../src/tensor/index.js";

describe("scope", () => {
  it("frees what was made inside", () => {
    const before = memory().live;
    let inside: Tensor | undefined;
    scope(() => {
      inside = relu(Tensor.full([1000], 1));
      expect(memory().live).toBeGreaterThan(before);
    });
    expect(inside?.disposed).toBe(true);
    expect(memory().live).toBe(before);
  });

  it.each([
    ["a tensor", (t: Tensor) => t],
    ["an array", (t: Tensor) => [t]],
    ["a record of arrays", (t: Tensor) => ({ some: { tensors: [1, t] } })],
  ] as [string, (t: Tensor) => unknown][])("lets %s that is returned live on", (_, pack) => {
    let inside: Tensor | undefined;
    scope(() => {
      inside = Tensor.full([2], 4);
      return pack(inside);
    });
    expect(inside?.disposed).toBe(false);
    expect([...(inside as Tensor).dataSync()]).toEqual([4, 4]);
    inside?.dispose();
  });

  it("leaves tensors that were made outside, or kept", () => {
    const outside = Tensor.zeros([2]);
    const kept = scope(() => {
      outside.write([1, 2]);
      const tensor = Tensor.zeros([1]).keep();
      return () => tensor;
    })();
    expect(outside.disposed).toBe(false);
    expect(kept.disposed).toBe(false);
    outside.dispose();
    kept.dispose();
  });

  it("hands what an inner scope returns to the outer one", () => {
    let inner: Tensor | undefined;
    scope(() => {
      inner = scope(() => add(Tensor.full([2], 1), Tensor.full([2], 2)));
      expect([...inner.dataSync()]).toEqual([3, 3]);
    });
    expect(inner?.disposed).toBe(true);
  });

  it("frees what was made before an error, and the outer scope goes on", () => {
    const before = memory().live;
    scope(() => {
      expect(() =>
        scope(() => {
          Tensor.zeros([100]);
          throw new Error("inside");
        }),
      ).toThrow("inside");
      const after = Tensor.zeros([1]);
      expect(after.disposed).toBe(false);
    });
    expect(memory().live).toBe(before);
  });

  it("may meet tensors that were disposed inside", () => {
    expect(() => scope(() => Tensor.zeros([1]).dispose())).not.toThrow();
  });

  it("repeats a step without reserving more memory", () => {
    const step = () =>
      scope(() => {
        for (let size = 1; size < 200_000; size *= 3) relu(Tensor.full([size], -1));
      });
    step();
    const { reserved } = memory();
    for (let i = 0; i < 50; i++) step();
    expect(memory().reserved).toBe(reserved);
  });
});
