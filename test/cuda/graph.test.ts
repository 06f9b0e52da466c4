import { afterEach, describe, expect, it } from "vitest";
import { native } from "../../src/native.js";
import { synchronize, Tensor } from "../../src/tensor/index.js";

const { newGraph, beginCapture, endCapture, replay, freeGraph } = native;

const options = { device: "cuda" } as const;
const made: Tensor[] = [];
const tensor = (numbers: number[]) => {
  const result = Tensor.from(numbers, [numbers.length], options).keep();
  made.push(result);
  return result;
};
afterEach(() => {
  for (const each of made.splice(0)) each.dispose();
});
const double = (x: Tensor, y: Tensor) => x.kernels.scale(x.buffer, 2, y.buffer, false);

describe.skipIf(native.devices().cudaDevices.length === 0)("captured work", () => {
  it("is done at each replay and not before, on what its inputs hold then", async () => {
    const [x, y] = [tensor([1, 2, 3]), tensor([0, 0, 0])];
    const graph = newGraph();
    beginCapture(graph, 0);
    double(x, y);
    endCapture(graph);
    expect([...(await y.data())]).toEqual([0, 0, 0]);
    replay(graph, 0);
    expect([...(await y.data())]).toEqual([2, 4, 6]);
    x.write([4, 5, 6]);
    replay(graph, 0);
    expect([...(await y.data())]).toEqual([8, 10, 12]);
    freeGraph(graph);
  });

  it("keeps the constants that it wrote", () => {
    const y = tensor([0, 0]);
    const graph = newGraph();
    beginCapture(graph, 0);
    const constant = Tensor.from([7, 8], [2], options);
    double(constant, y);
    constant.dispose();
    endCapture(graph);
    for (let i = 0; i < 3; i++) {
      y.write([0, 0]);
      replay(graph, 0);
      expect([...y.dataSync()]).toEqual([14, 16]);
    }
    freeGraph(graph);
  });

  it("has memory that nothing else is given while its graph lives", () => {
    const [x, y] = [tensor([1, 1, 1]), tensor([0, 0, 0])];
    const graph = newGraph();
    beginCapture(graph, 0);
    const between = Tensor.empty([3], options);
    double(x, between);
    double(between, y);
    between.dispose();
    endCapture(graph);
    const others = Array.from({ length: 50 }, () => tensor([9, 9, 9]));
    replay(graph, 0);
    expect([...y.dataSync()]).toEqual([4, 4, 4]);
    for (const other of others) expect([...other.dataSync()]).toEqual([9, 9, 9]);
    freeGraph(graph);
  });

  it("takes the place of the part of the same number; other parts stay", () => {
    const [x, y, z] = [tensor([3]), tensor([0]), tensor([0])];
    const graph = newGraph();
    for (const [part, to] of [
      [0, y],
      [1, z],
      [0, z],
    ] as const) {
      beginCapture(graph, part);
      double(x, to);
      endCapture(graph);
    }
    replay(graph, 0);
    expect([y.item(), z.item()]).toEqual([0, 6]);
    x.write([5]);
    replay(graph, 1);
    expect([y.item(), z.item()]).toEqual([0, 10]);
    freeGraph(graph);
  });

  it("may get other kernels under the same number", () => {
    const [x, y] = [tensor([3]), tensor([0])];
    const graph = newGraph();
    beginCapture(graph, 0);
    double(x, y);
    endCapture(graph);
    beginCapture(graph, 0);
    double(x, y);
    x.kernels.add(x.buffer, y.buffer, y.buffer);
    endCapture(graph);
    replay(graph, 0);
    expect(y.item()).toBe(9);
    freeGraph(graph);
  });

  it("that was never captured is an error, and so is a graph that was freed", async () => {
    const graph = newGraph();
    replay(graph, 3);
    await expect(synchronize()).rejects.toThrow("replay: expected a captured part, got none with number 3");
    freeGraph(graph);
    expect(() => replay(graph, 0)).toThrow("graph: expected a live graph, got one that was freed");
  });
});

describe.skipIf(native.devices().cudaDevices.length === 0)("two devices", () => {
  it("a kernel with buffers of the other device is an error", () => {
    const [x, y] = [tensor([1]), Tensor.from([1], [1], { device: "cpu" })];
    expect(() => x.kernels.add(x.buffer, x.buffer, y.buffer)).toThrow(
      "kernel: expected buffers on cuda, got one on cpu",
    );
    y.dispose();
  });
});
