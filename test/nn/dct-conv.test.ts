import { describe, expect, it } from "vitest";
import { BatchNorm2d, DctConv2d, DctLinear } from "../../src/nn/index.js";
import { conv2d, sum } from "../../src/ops/index.js";
import { backward, scope, Tensor, Topology } from "../../src/tensor/index.js";
import { expectClose, signed } from "../numbers.js";
import { cosineWeight } from "../ops/reference.js";

describe("a DCT convolution", () => {
  it("is a convolution by α·F + S, with the gradients of one: 96 to 40 channels, 3 × 3, stride 2", () => {
    const layer = new DctConv2d(96, 40, { kernel: 3, stride: 2 });
    const indices = Int32Array.from({ length: 50 }, (_, k) => 691 * k);
    layer.weight.makeSparse(new Topology(layer.weight.shape, indices));
    layer.weight.write(signed(2, 50));
    layer.alpha.write([0.75]);
    const dense = Float64Array.from(cosineWeight(96, 40, 3), (w) => 0.75 * w);
    for (const [k, value] of signed(2, 50).entries()) dense[indices[k]] += value;
    scope(() => {
      const make = () => Tensor.from(signed(1, 96 * 9 * 9 * 5), [96, 9, 9, 5], { requiresGradient: true });
      const weight = Tensor.from(dense, [40, 96, 3, 3], { requiresGradient: true });
      const [x, copy] = [make(), make()];
      const y = layer.forward(x);
      const reference = conv2d(copy, weight, { stride: 2, padding: 1 });
      expect(y.shape).toEqual([40, 5, 5, 5]);
      expectClose(y.dataSync(), reference.dataSync(), { relative: 1e-5 });
      backward(sum(y));
      backward(sum(reference));
      expectClose(x.gradient?.dataSync() ?? [], copy.gradient?.dataSync() ?? [], { relative: 1e-5 }, "dx");
      const dweight = weight.gradient?.dataSync() as Float32Array;
      const atPlaces = Array.from(indices, (at) => dweight[at]);
      expectClose(layer.weight.leaf.gradient?.dataSync() ?? [], atPlaces, { relative: 1e-5 }, "dS");
      const dalpha = cosineWeight(96, 40, 3).reduce((total, w, f) => total + w * dweight[f], 0);
      expect(layer.alpha.leaf.gradient?.item()).toBeCloseTo(dalpha, 1);
      for (const tensor of [x, copy, weight]) tensor.gradient?.dispose();
    });
    layer.dispose();
  });

  it("begins as the transform alone: α is 1, every sparse weight is 0, and the sparse weight is what methods prune", () => {
    const layer = new DctConv2d(4, 8, { kernel: 1 });
    expect(layer.alpha.leaf.item()).toBe(1);
    expect(layer.weight.drawn(32)).toEqual(new Float32Array(32));
    expect(layer.parameters().map(({ prunable }) => prunable)).toEqual([true, false]);
    layer.dispose();
  });

  it("reads what a normalisation has put off", () => {
    const [layer, norm] = [new DctConv2d(4, 4, { kernel: 3 }), new BatchNorm2d(4)];
    scope(() => {
      const x = Tensor.from(signed(5, 4 * 3 * 3 * 2), [4, 3, 3, 2]);
      const y = layer.forward(norm.forward(x));
      const again = layer.forward(Tensor.from(norm.forward(x).dataSync(), [4, 3, 3, 2]));
      expect(y.dataSync()).toEqual(again.dataSync());
    });
    layer.dispose();
    norm.dispose();
  });
});

describe("a DCT linear layer", () => {
  it("as wide as its input keeps the length of every column, as the transform is orthonormal", () => {
    const layer = new DctLinear(12, 12);
    scope(() => {
      const x = signed(3, 36);
      const y = layer.forward(Tensor.from(x, [12, 3])).dataSync();
      for (const n of [0, 1, 2]) {
        const length = (values: ArrayLike<number>) =>
          Array.from({ length: 12 }, (_, i) => values[3 * i + n] ** 2).reduce((a, b) => a + b, 0);
        expect(length(y)).toBeCloseTo(length(x), 5);
      }
    });
    layer.dispose();
  });

  it("gives the mean, times √8, as its first coefficient", () => {
    const layer = new DctLinear(8, 2);
    scope(() => {
      const x = Tensor.from([1, 2, 3, 4, 5, 6, 7, 8], [8, 1]);
      expect(layer.forward(x).dataSync()[0]).toBeCloseTo(4.5 * Math.sqrt(8), 5);
    });
    layer.dispose();
  });
});
