import { describe, expect, it } from "vitest";
import {
  BatchNorm2d,
  Conv2d,
  DyReLU,
  GlobalAveragePool,
  Initializer,
  Linear,
  MaxPool,
  ReLU,
  Sequential,
} from "../../src/nn/index.js";
import { multiply, sum } from "../../src/ops/index.js";
import { backward, memory, scope, Tensor, Topology } from "../../src/tensor/index.js";
import { expectClose, signed } from "../numbers.js";
import { averagePlanes, convolve, densify, dynamicRelu, matrixProduct, normalize, rectify } from "../ops/reference.js";

const image = (t: number, ...shape: number[]) =>
  Tensor.from(
    signed(
      t,
      shape.reduce((a, b) => a * b),
    ),
    shape,
  );
const f32 = { relative: 1e-5, absolute: 1e-6 };

describe("Conv2d", () => {
  it("keeps the size of the image by default", () => {
    const layer = new Conv2d(3, 4, { kernel: 3, init: new Initializer(1) });
    expect(layer.weight.shape).toEqual([4, 3, 3, 3]);
    scope(() => {
      const x = image(1, 3, 5, 6, 2);
      const expected = convolve(x.dataSync(), layer.weight.leaf.dataSync(), [3, 5, 6, 2, 4, 3, 3, 1, 1]);
      expect(layer.forward(x).shape).toEqual([4, 5, 6, 2]);
      expectClose(layer.forward(x).dataSync(), expected, f32);
    });
    layer.dispose();
  });

  it("takes a stride and a padding, and a sparse weight", () => {
    const layer = new Conv2d(2, 3, { kernel: 5, stride: 2, padding: 1 });
    const topology = new Topology([3, 2, 5, 5], Int32Array.of(0, 30, 77, 149));
    layer.weight.makeSparse(topology);
    scope(() => {
      const x = image(2, 2, 9, 8, 3);
      const weight = densify(layer.weight.leaf.dataSync(), topology.indices, 150);
      expect(layer.forward(x).shape).toEqual([3, 4, 3, 3]);
      expectClose(layer.forward(x).dataSync(), convolve(x.dataSync(), weight, [2, 9, 8, 3, 3, 5, 5, 2, 1]), f32);
    });
    layer.dispose();
  });

  it("starts within ±1/√(inputs · kernel²)", () => {
    const layer = new Conv2d(4, 50, { kernel: 2, padding: 0, init: new Initializer(3) });
    const values = layer.weight.leaf.dataSync();
    expect(values.every((v) => Math.abs(v) <= 0.25)).toBe(true);
    layer.dispose();
  });
});

describe("Linear", () => {
  it("multiplies and adds its bias", () => {
    const layer = new Linear(3, 2, { init: new Initializer(1) });
    layer.bias?.write([10, -10]);
    scope(() => {
      const x = image(3, 3, 4);
      const product = matrixProduct(layer.weight.leaf.dataSync(), x.dataSync(), 2, 3, 4);
      expectClose(
        layer.forward(x).dataSync(),
        product.map((v, i) => v + (i < 4 ? 10 : -10)),
        f32,
      );
    });
    layer.dispose();
  });

  it("may have no bias", () => {
    const layer = new Linear(3, 2, { bias: false });
    expect(layer.bias).toBe(null);
    expect(layer.parameters().length).toBe(1);
    layer.dispose();
  });
});

describe("BatchNorm2d", () => {
  it("normalises with the batch in training, with its running statistics in evaluation", () => {
    const layer = new BatchNorm2d(2);
    const data = signed(5, 48).map((v) => 3 * v + 1);
    scope(() => {
      const x = Tensor.from(data, [2, 3, 2, 4]);
      expectClose(layer.forward(x).dataSync(), normalize(data, [1, 1], [0, 0]), f32);
      layer.eval();
      const statistics = {
        mean: Float64Array.from(layer.runningMean.dataSync()),
        variance: Float64Array.from(layer.runningVariance.dataSync()),
      };
      expect(statistics.mean[0]).not.toBe(0);
      expectClose(layer.forward(x).dataSync(), normalize(data, [1, 1], [0, 0], statistics), f32);
    });
    layer.dispose();
  });
});

describe("pools", () => {
  it("average whole planes and take the largest of windows", () => {
    scope(() => {
      const x = Tensor.from([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2, 1]);
      expect([...new GlobalAveragePool().forward(x).dataSync()]).toEqual([2.5, 6.5]);
      expect([...new MaxPool({ kernel: 2 }).forward(x).dataSync()]).toEqual([4, 8]);
    });
  });

  it("give the gradient of equal values to the first", () => {
    scope(() => {
      const x = Tensor.full([1, 2, 2, 2], 3, { requiresGradient: true });
      backward(sum(new MaxPool({ kernel: 2 }).forward(x)));
      expect([...(x.gradient as Tensor).dataSync()]).toEqual([1, 1, 0, 0, 0, 0, 0, 0]);
    });
  });
});

describe("ReLU", () => {
  it("passes no gradient at 0", () => {
    scope(() => {
      const x = Tensor.from([-1, 0, -0, 2], [4], { requiresGradient: true });
      backward(sum(new ReLU().forward(x)));
      expect([...(x.gradient as Tensor).dataSync()]).toEqual([0, 0, 0, 1]);
    });
  });
});

describe("DyReLU", () => {
  const make = (beta: number, blend: "coefficients" | "outputs" = "coefficients") => {
    const phase = { beta, blend };
    return { phase, layer: new DyReLU(8, { phase, init: new Initializer(2) }) };
  };

  it("squeezes to a quarter of the channels and gives four coefficients per channel; none is prunable", () => {
    const { layer } = make(1);
    expect(layer.parameters().map(({ name, shape, prunable }) => [name, shape, prunable])).toEqual([
      ["squeeze.weight", [2, 8], false],
      ["squeeze.bias", [2], false],
      ["excite.weight", [32, 2], false],
      ["excite.bias", [32], false],
    ]);
    layer.dispose();
    const narrow = new DyReLU(3, { phase: { beta: 1, blend: "outputs" } });
    expect(narrow.squeeze?.weight.shape).toEqual([1, 3]);
    narrow.dispose();
  });

  it.each(["coefficients", "outputs"] as const)("computes what its definition says, blending %s", (blend) => {
    const { layer } = make(0.6, blend);
    scope(() => {
      const x = image(9, 8, 3, 2, 5);
      const read = (p: { leaf: Tensor } | null | undefined) => (p as { leaf: Tensor }).leaf.dataSync();
      const affine = (data: ArrayLike<number>, weight: ArrayLike<number>, bias: ArrayLike<number>) =>
        matrixProduct(weight, data, bias.length, weight.length / bias.length, 5).map(
          (v, i) => v + bias[Math.floor(i / 5)],
        );
      const pooled = averagePlanes(x.dataSync(), 8, 5);
      const hidden = rectify(affine(pooled, read(layer.squeeze?.weight), read(layer.squeeze?.bias)));
      const u = affine(hidden, read(layer.excite?.weight), read(layer.excite?.bias));
      expectClose(layer.forward(x).dataSync(), dynamicRelu(x.dataSync(), u, 8, 5, 0.6, blend), f32);
    });
    layer.dispose();
  });

  it("is a plain ReLU once its phase is over, and after it retired has no parameters", () => {
    const { phase, layer } = make(1);
    const before = memory().live;
    scope(() => {
      const x = image(10, 8, 2, 2, 3);
      const plain = rectify(x.dataSync());
      expect([...layer.forward(x).dataSync()]).not.toEqual([...plain]);
      phase.beta = 0;
      expect([...layer.forward(x).dataSync()]).toEqual([...plain]);
      layer.retire();
      expect(layer.parameters()).toEqual([]);
      phase.beta = 1;
      expect([...layer.forward(x).dataSync()]).toEqual([...plain]);
    });
    expect(memory().live).toBeLessThanOrEqual(before);
  });
});

describe("layers together", () => {
  it("train: a step down the gradient of a small network lowers its loss", () => {
    const init = new Initializer(4);
    const net = new Sequential(
      new Conv2d(1, 4, { kernel: 3, init }),
      new BatchNorm2d(4),
      new ReLU(),
      new GlobalAveragePool(),
      new Linear(4, 1, { init }),
    );
    const loss = () => {
      const y = net.forward(image(12, 1, 6, 6, 8));
      const error = multiply(y, y);
      return sum(error);
    };
    const before = scope(() => {
      const value = loss();
      backward(value);
      return value.item();
    });
    scope(() => {
      for (const parameter of net.parameters()) {
        const gradient = (parameter.leaf.gradient as Tensor).dataSync();
        parameter.write(parameter.leaf.dataSync().map((v, i) => v - 0.01 * gradient[i]));
        parameter.clearGradient();
      }
      expect(loss().item()).toBeLessThan(before);
    });
    net.dispose();
  });
});
