import { describe, expect, it } from "vitest";
import { native } from "../../src/native.js";
import { add, multiply, relu, reshape, scale, sum } from "../../src/ops/index.js";
import { backward, memory, noGradient, scope, Tensor, tape } from "../../src/tensor/index.js";

/** The code of the error that `f` throws. */
function codeOf(f: () => unknown): unknown {
  try {
    f();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return "nothing thrown";
}

describe("a tensor", () => {
  it("holds a copy of what it was made from", () => {
    const source = Float32Array.of(1, 2, 3, 4, 5, 6);
    const tensor = Tensor.from(source, [2, 3]);
    source[0] = 99;
    expect(tensor.shape).toEqual([2, 3]);
    expect(tensor.size).toBe(6);
    expect(tensor.dtype).toBe("f32");
    expect(tensor.dataSync()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    tensor.dispose();
  });

  it.each([
    ["f32", Float32Array.of(-1.5, 2)],
    ["bf16", Float32Array.of(-1.5, 2)],
    ["f64", Float64Array.of(0.1, 1e300)],
    ["i32", Int32Array.of(-7, 2147483647)],
    ["u8", Uint8Array.of(0, 255)],
  ] as const)("of %s gives back its numbers", (dtype, data) => {
    scope(() => {
      expect(Tensor.from(data, [2], { dtype }).dataSync()).toEqual(data);
      expect([...Tensor.full([3], 7, { dtype }).dataSync()]).toEqual([7, 7, 7]);
      expect([...Tensor.zeros([2], { dtype }).dataSync()]).toEqual([0, 0]);
    });
  });

  it("converts plain numbers to its own type", () => {
    scope(() => expect(Tensor.from([1.7, -2.2], [2], { dtype: "i32" }).dataSync()).toEqual(Int32Array.of(1, -2)));
  });

  it("takes new contents", () => {
    scope(() => {
      const tensor = Tensor.zeros([2]);
      tensor.write(Float32Array.of(3, 4));
      expect([...tensor.dataSync()]).toEqual([3, 4]);
      expect(() => tensor.write([1])).toThrow("write: expected 2 numbers, got 1");
    });
  });

  it("may be empty", () => {
    scope(() => expect(Tensor.zeros([0, 3]).dataSync().length).toBe(0));
  });

  it("of one element is a number", () => {
    scope(() => {
      expect(Tensor.from([2.5], [1]).item()).toBe(2.5);
      expect(Tensor.from([2.5], []).item()).toBe(2.5);
      expect(() => Tensor.zeros([2]).item()).toThrow("item: expected a tensor of one element, got shape [2]");
    });
  });

  it("refuses data that does not fill its shape, and shapes that are none", () => {
    expect(() => Tensor.from([1, 2, 3], [2, 2])).toThrow("tensor: expected 4 numbers for shape [2, 2], got 3");
    expect(() => Tensor.zeros([2, -1])).toThrow("tensor: expected a shape of non-negative integers, got [2, -1]");
    expect(() => Tensor.zeros([1.5])).toThrow("tensor: expected a shape of non-negative integers, got [1.5]");
    expect(codeOf(() => Tensor.zeros([Number.NaN]))).toBe("EASTING_INVALID");
  });

  it("too large for the machine is an error with a code", () => {
    expect(codeOf(() => Tensor.empty([2 ** 45]))).toBe("EASTING_OUT_OF_MEMORY");
  });
});

describe("a view", () => {
  it("shares memory with its tensor, both ways", () => {
    scope(() => {
      const tensor = Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]);
      const view = tensor.view([3, 2]);
      view.write([6, 5, 4, 3, 2, 1]);
      expect([...tensor.dataSync()]).toEqual([6, 5, 4, 3, 2, 1]);
      tensor.write([0, 0, 0, 0, 0, 7]);
      expect([...view.dataSync()]).toEqual([0, 0, 0, 0, 0, 7]);
    });
  });

  it("outlives its tensor, and the memory goes with the last of them", () => {
    const before = memory().live;
    const tensor = Tensor.full([64], 3);
    const view = tensor.view([8, 8]);
    tensor.dispose();
    expect([...view.dataSync()]).toEqual(new Array(64).fill(3));
    expect(memory().live).toBe(before + 256);
    view.dispose();
    expect(memory().live).toBe(before);
  });

  it("must hold the same number of elements", () => {
    scope(() => expect(() => Tensor.zeros([6]).view([4])).toThrow("view: expected 6 elements, got shape [4]"));
  });
});

describe("a disposed tensor", () => {
  it.each([
    ["reading", (t: Tensor) => t.dataSync()],
    ["writing", (t: Tensor) => t.write([1, 2])],
    ["viewing", (t: Tensor) => t.view([2, 1])],
    ["computing with", (t: Tensor) => relu(t)],
    ["the number of", (t: Tensor) => t.view([2]).item()],
  ] as [string, (t: Tensor) => unknown][])("cannot be used: %s it is EASTING_DISPOSED", (_, use) => {
    const tensor = Tensor.zeros([2]);
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    expect(codeOf(() => use(tensor))).toBe("EASTING_DISPOSED");
  });

  it("rejects when its data are awaited", async () => {
    const tensor = Tensor.zeros([2]);
    tensor.dispose();
    await expect(tensor.data()).rejects.toMatchObject({ code: "EASTING_DISPOSED" });
  });

  it("may be disposed again", () => {
    const before = memory().live;
    const tensor = Tensor.zeros([2]);
    tensor.dispose();
    tensor.dispose();
    tensor[Symbol.dispose]();
    expect(memory().live).toBe(before);
  });

  it("whose result awaits backward gives the same error", () => {
    scope(() => {
      const x = Tensor.full([2], 1, { requiresGradient: true });
      const y = multiply(x, x);
      const loss = sum(y);
      x.dispose();
      expect(codeOf(() => backward(loss))).toBe("EASTING_DISPOSED");
    });
  });
});

describe("data()", () => {
  it("waits for queued work and lets the event loop run meanwhile", async () => {
    const size = 1 << 22;
    const [x, y] = [Tensor.full([size], 1), Tensor.zeros([size])];
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    // Some 200 ms of work, queued within a few.
    for (let i = 0; i < 100; i++) x.kernels.scale(x.buffer, 1, y.buffer, true);
    const data = await y.data();
    clearInterval(timer);
    expect(data[0]).toBe(100);
    expect(data[size - 1]).toBe(100);
    expect(ticks).toBeGreaterThan(5);
    x.dispose();
    y.dispose();
  });

  it("rejects with what a kernel threw, and the queue goes on", async () => {
    const device = "cpu"; // a GPU's kernel cannot throw
    const logits = Tensor.zeros([3, 2], { device });
    const labels = Tensor.from([0, 3], [2], { dtype: "i32", device });
    const loss = Tensor.zeros([1], { device });
    native.kernels.cpu.f32.cross_entropy_forward(logits.buffer, labels.buffer, 3, 0, loss.buffer, null);
    await expect(loss.data()).rejects.toMatchObject({ code: "EASTING_KERNEL" });
    expect(await loss.data()).toEqual(Float32Array.of(0));
    native.kernels.cpu.f32.cross_entropy_forward(logits.buffer, labels.buffer, 3, 0, loss.buffer, null);
    expect(codeOf(() => loss.dataSync())).toBe("EASTING_KERNEL");
    for (const tensor of [logits, labels, loss]) tensor.dispose();
  });
});

describe("backward", () => {
  it("adds to the gradients that are there", () => {
    scope(() => {
      const x = Tensor.from([1, 2], [2], { requiresGradient: true });
      backward(sum(multiply(x, x)));
      backward(sum(scale(x, 10)));
      expect([...(x.gradient as Tensor).dataSync()]).toEqual([12, 14]);
    });
  });

  it("goes through one tensor by every path: y = x² + 3x², dy/dx = 8x", () => {
    scope(() => {
      const x = Tensor.from([1, -2], [2], { requiresGradient: true });
      const square = multiply(x, x);
      backward(sum(add(square, scale(square, 3))));
      expect([...(x.gradient as Tensor).dataSync()]).toEqual([8, -16]);
    });
  });

  it("handles a residual, where the sum's gradient goes both ways", () => {
    scope(() => {
      const x = Tensor.from([1, -2], [2], { requiresGradient: true });
      const inner = scale(x, 2);
      backward(sum(multiply(add(relu(inner), inner), inner)));
      // (relu(2x) + 2x) · 2x = 8x² for x > 0, 4x² below.
      expect([...(x.gradient as Tensor).dataSync()]).toEqual([16, -16]);
    });
  });

  it("passes gradients of a reshaped tensor in its own shape", () => {
    scope(() => {
      const x = Tensor.from([1, 2, 3, 4], [2, 2], { requiresGradient: true });
      backward(sum(multiply(reshape(x, [4]), Tensor.from([1, 10, 100, 1000], [4]))));
      expect((x.gradient as Tensor).shape).toEqual([2, 2]);
      expect([...(x.gradient as Tensor).dataSync()]).toEqual([1, 10, 100, 1000]);
    });
  });

  it("leaves tensors without the flag alone", () => {
    scope(() => {
      const x = Tensor.from([1], [1], { requiresGradient: true });
      const y = Tensor.from([5], [1]);
      backward(sum(multiply(x, y)));
      expect(y.gradient).toBe(null);
      expect((x.gradient as Tensor).item()).toBe(5);
    });
  });

  it("frees what it has passed when asked to, but for the loss, leaves and what is kept", () => {
    scope(() => {
      const x = Tensor.from([1, 2], [2], { requiresGradient: true });
      const square = multiply(x, x);
      const kept = scale(square, 3).keep();
      const loss = sum(kept);
      backward(loss, { release: true });
      expect([x, square, kept, loss].map(({ disposed }) => disposed)).toEqual([false, true, false, false]);
      expect([...(x.gradient as Tensor).dataSync()]).toEqual([6, 12]);
      kept.dispose();
    });
  });

  it("refuses what is no scalar, or has no history", () => {
    scope(() => {
      const x = Tensor.zeros([2], { requiresGradient: true });
      expect(() => backward(scale(x, 2))).toThrow("backward: expected a loss of one element, got shape [2]");
      expect(() => backward(Tensor.zeros([1]))).toThrow("backward: expected a loss computed from tensors that require");
    });
  });

  it("has nothing to do under noGradient, also after an error inside", () => {
    scope(() => {
      const x = Tensor.zeros([1], { requiresGradient: true });
      expect(noGradient(() => scale(x, 2)).node).toBe(null);
      expect(() =>
        noGradient(() => {
          throw new Error("inside");
        }),
      ).toThrow("inside");
      expect(scale(x, 2).node?.name).toBe("scale");
    });
  });

  it("frees everything but the gradients of leaves", () => {
    const before = memory().live;
    const x = Tensor.full([1000], 2, { requiresGradient: true });
    scope(() => {
      for (let i = 0; i < 3; i++) {
        const y = relu(multiply(add(x, x), x));
        backward(sum(reshape(y, [10, 100])));
      }
    });
    expect((x.gradient as Tensor).disposed).toBe(false);
    expect([...(x.gradient as Tensor).dataSync().slice(0, 2)]).toEqual([24, 24]);
    x.gradient?.dispose();
    x.dispose();
    expect(memory().live).toBe(before);
  });

  it("lists the ops that made a tensor, latest first", () => {
    scope(() => {
      const x = Tensor.zeros([2], { requiresGradient: true });
      expect(tape(sum(relu(scale(x, 2)))).map(({ name }) => name)).toEqual(["sum", "relu", "scale"]);
    });
  });
});
