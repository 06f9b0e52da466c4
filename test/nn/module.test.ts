import { describe, expect, it } from "vitest";
import { BatchNorm2d, Conv2d, Linear, Module, ReLU, Sequential } from "../../src/nn/index.js";
import { memory, type Tensor } from "../../src/tensor/index.js";

class Block extends Module {
  readonly conv = new Conv2d(2, 2, { kernel: 3 });
  readonly norms = [new BatchNorm2d(2), new BatchNorm2d(2)];
  readonly shared = this.conv.weight;
  readonly note = "not a module";
  readonly nothing = null;

  forward(x: Tensor): Tensor {
    return x;
  }
}

class Net extends Module {
  readonly block = new Block();
  readonly fc = new Linear(2, 3);

  forward(x: Tensor): Tensor {
    return x;
  }
}

describe("a module", () => {
  it("names its parameters by their path, each once", () => {
    const net = new Net();
    expect([...net.namedParameters().keys()]).toEqual([
      "block.shared",
      "block.norms.0.weight",
      "block.norms.0.bias",
      "block.norms.1.weight",
      "block.norms.1.bias",
      "fc.weight",
      "fc.bias",
    ]);
    expect(net.parameters().map(({ name }) => name)).toEqual([...net.namedParameters().keys()]);
    net.dispose();
  });

  it("names its buffers and modules", () => {
    const net = new Net();
    expect([...net.buffers().keys()]).toEqual([
      "block.norms.0.runningMean",
      "block.norms.0.runningVariance",
      "block.norms.1.runningMean",
      "block.norms.1.runningVariance",
    ]);
    expect([...net.modules().keys()]).toEqual(["", "block", "block.conv", "block.norms.0", "block.norms.1", "fc"]);
    net.dispose();
  });

  it("switches everything below it to evaluation and back", () => {
    const net = new Net();
    expect(net.training).toBe(true);
    expect(net.eval()).toBe(net);
    expect([...net.modules().values()].map(({ training }) => training)).toEqual(new Array(6).fill(false));
    net.train();
    expect(net.block.norms[1].training).toBe(true);
    net.dispose();
  });

  it("marks convolution and classifier weights as prunable, and nothing else", () => {
    const net = new Net();
    expect(net.parameters().map(({ prunable }) => prunable)).toEqual([true, false, false, false, false, true, false]);
    net.dispose();
  });

  it("frees its memory", () => {
    const before = memory().live;
    const net = new Net();
    for (const parameter of net.parameters()) parameter.value;
    expect(memory().live).toBeGreaterThan(before);
    net.dispose();
    expect(memory().live).toBe(before);
  });
});

describe("a sequence", () => {
  it("numbers its layers", () => {
    const sequence = new Sequential(new Linear(2, 2), new ReLU(), new Linear(2, 1, { bias: false }));
    expect([...sequence.namedParameters().keys()]).toEqual(["layers.0.weight", "layers.0.bias", "layers.2.weight"]);
    sequence.dispose();
  });
});
