import { describe, expect, it } from "vitest";
import { constant, Parameter } from "../../src/nn/index.js";
import { SGD } from "../../src/optim/index.js";
import { memory, Tensor, Topology } from "../../src/tensor/index.js";
import { expectClose, signed } from "../numbers.js";

const size = 40_000;

/** A parameter with the given values. */
function parameterOf(values: ArrayLike<number>, name = "weight"): Parameter {
  const parameter = new Parameter([values.length], constant(0));
  parameter.name = name;
  parameter.write(values);
  return parameter;
}
const setGradient = (parameter: Parameter, values: ArrayLike<number>) => {
  parameter.clearGradient();
  parameter.leaf.gradient = Tensor.from(values, parameter.leaf.shape).keep();
};
const context = (step: number, learningRate = 0.1, gradientScale: Tensor | null = null) => ({
  step,
  learningRate,
  gradientScale,
});

describe("SGD", () => {
  it.each([
    { momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
    { momentum: 0.9, nesterov: false, weightDecay: 0 },
    { momentum: 0, nesterov: false, weightDecay: 0.01 },
  ])("follows its formula over five steps: %j", (options) => {
    const optimizer = new SGD(options);
    const w = signed(1, size);
    const v = new Float64Array(size);
    const parameter = parameterOf(w);
    for (let step = 1; step <= 5; step++) {
      const gradient = signed(step + 1, size);
      setGradient(parameter, gradient);
      optimizer.step([parameter], context(step));
      for (let i = 0; i < size; i++) {
        const g = gradient[i] + options.weightDecay * w[i];
        v[i] = options.momentum * v[i] + g;
        w[i] -= 0.1 * (options.nesterov ? g + options.momentum * v[i] : v[i]);
      }
    }
    expectClose(parameter.leaf.dataSync(), w, { relative: 1e-6 });
    optimizer.dispose();
    parameter.dispose();
  });

  it("defaults to momentum 0.9, Nesterov, weight decay 1e-4", () => {
    const parameter = parameterOf([1]);
    const optimizer = new SGD();
    setGradient(parameter, [1]);
    optimizer.step([parameter], context(1));
    // g = 1.0001, v = g, w = 1 - 0.1 (g + 0.9 g).
    expect(parameter.leaf.item()).toBeCloseTo(1 - 0.1 * 1.9 * 1.0001, 6);
    optimizer.dispose();
    parameter.dispose();
  });

  it("multiplies gradients by the clipping factor, before weight decay", () => {
    const parameter = parameterOf([2]);
    const optimizer = new SGD({ momentum: 0, weightDecay: 0.5 });
    setGradient(parameter, [8]);
    const factor = Tensor.from([0.25], [1]);
    optimizer.step([parameter], context(1, 0.1, factor));
    expect(parameter.leaf.item()).toBeCloseTo(2 - 0.1 * (8 * 0.25 + 0.5 * 2), 6);
    factor.dispose();
    optimizer.dispose();
    parameter.dispose();
  });

  it("leaves parameters without a gradient alone, and makes no state for them", () => {
    const parameter = parameterOf([1, 2]);
    const optimizer = new SGD();
    optimizer.step([parameter], context(1));
    expect([...parameter.leaf.dataSync()]).toEqual([1, 2]);
    expect(optimizer.state().size).toBe(0);
    parameter.dispose();
  });
});

describe("optimizer state", () => {
  const velocity = (optimizer: SGD, name = "weight") => [
    ...(optimizer.state().get(`velocity/${name}`) as Tensor).dataSync(),
  ];
  const plain = { momentum: 0.5, nesterov: false, weightDecay: 0 };

  it("follows a new topology: kept values keep theirs, new ones start at 0", () => {
    const parameter = new Parameter([2, 4], constant(1), true);
    parameter.name = "weight";
    parameter.makeSparse(new Topology([2, 4], Int32Array.of(0, 2, 5)));
    const optimizer = new SGD(plain);
    setGradient(parameter, [10, 20, 30]);
    optimizer.step([parameter], context(1));
    expect(velocity(optimizer)).toEqual([10, 20, 30]);
    // Index 2 leaves; 1 and 7 come.
    parameter.replace(new Topology([2, 4], Int32Array.of(0, 1, 5, 7)), Float32Array.of(9, 0, -2, 0));
    const from = Tensor.from([0, -1, 2, -1], [4], { dtype: "i32" });
    optimizer.remap(parameter, from);
    from.dispose();
    expect(velocity(optimizer)).toEqual([10, 0, 30, 0]);
    setGradient(parameter, [1, 1, 1, 1]);
    optimizer.step([parameter], context(2));
    expect(velocity(optimizer)).toEqual([6, 1, 16, 1]);
    expectClose(parameter.leaf.dataSync(), [8.4, -0.1, -3.6, -0.1], { relative: 1e-6 });
    optimizer.dispose();
    parameter.dispose();
  });

  it("of a parameter that never stepped has nothing to follow", () => {
    const parameter = parameterOf([1, 2]);
    const from = Tensor.from([1], [1], { dtype: "i32" });
    expect(() => new SGD().remap(parameter, from)).not.toThrow();
    from.dispose();
    parameter.dispose();
  });

  it("can be taken out and put back", () => {
    const [first, second] = [parameterOf([1, 2], "a"), parameterOf([3], "b")];
    const optimizer = new SGD(plain);
    setGradient(first, [4, 5]);
    optimizer.step([first, second], context(1));
    const saved = new Map([...optimizer.state()].map(([name, tensor]) => [name, tensor.dataSync()]));
    expect([...saved.keys()]).toEqual(["velocity/a"]);
    const restored = new SGD(plain);
    restored.load([first, second], saved);
    expect(velocity(restored, "a")).toEqual([4, 5]);
    expect(restored.state().size).toBe(1);
    for (const used of [optimizer, restored]) used.dispose();
    for (const parameter of [first, second]) parameter.dispose();
  });

  it("is freed with the optimizer, or when a parameter is forgotten", () => {
    const before = memory().live;
    const parameter = parameterOf(new Float32Array(100));
    const optimizer = new SGD();
    setGradient(parameter, new Float32Array(100));
    optimizer.step([parameter], context(1));
    const { live } = memory();
    optimizer.forget(parameter);
    expect(live - memory().live).toBe(448);
    optimizer.step([parameter], context(2));
    optimizer.dispose();
    parameter.dispose();
    expect(memory().live).toBe(before);
  });
});
