import { describe, expect, it } from "vitest";
import { constant, Parameter } from "../../src/nn/index.js";
import { clipFactor } from "../../src/optim/index.js";
import { Tensor, Topology } from "../../src/tensor/index.js";

function dense(...gradient: number[]): Parameter {
  const parameter = new Parameter([gradient.length], constant(0));
  parameter.leaf.gradient = Tensor.from(gradient, [gradient.length]).keep();
  return parameter;
}

/** A sparse weight [2, 2] with one value, and a dense gradient. */
function sparse(active: number, all: readonly number[]): Parameter {
  const parameter = new Parameter([2, 2], constant(1), true);
  parameter.makeSparse(new Topology([2, 2], Int32Array.of(3)));
  parameter.leaf.gradient = Tensor.from([active], [1]).keep();
  const { tensor } = parameter.denseGradient.into([2, 2], parameter.leaf);
  tensor.write(all);
  return parameter;
}

function factor(parameters: Parameter[], maximum: number, mode: "active" | "dense" = "active"): number {
  const result = clipFactor(parameters, maximum, mode);
  const value = result.item();
  result.dispose();
  return value;
}

describe("clipFactor", () => {
  it("is maximum / norm over all parameters: √(3² + 4² + 12²) = 13", () => {
    expect(factor([dense(3, 4), dense(-12)], 1)).toBeCloseTo(1 / 13, 6);
    expect(factor([dense(3, 4), dense(-12)], 6.5)).toBeCloseTo(0.5, 6);
  });

  it("is 1 where the norm is below the maximum", () => {
    expect(factor([dense(3, 4)], 5.1)).toBe(1);
    expect(factor([dense(0, 0)], 1)).toBe(1);
  });

  it("counts a sparse weight's values, or its whole dense gradient", () => {
    expect(factor([sparse(4, [3, 0, 0, 4])], 1, "active")).toBeCloseTo(1 / 4, 6);
    expect(factor([sparse(4, [3, 0, 0, 4])], 1, "dense")).toBeCloseTo(1 / 5, 6);
    expect(factor([sparse(4, [3, 0, 0, 4]), dense(12)], 1, "dense")).toBeCloseTo(1 / 13, 6);
  });

  it("skips parameters without gradient", () => {
    expect(factor([new Parameter([2], constant(1)), dense(3, 4)], 1)).toBeCloseTo(0.2, 6);
    expect(factor([], 1)).toBe(1);
  });

  it("is NaN where a gradient is, so that it is seen", () => {
    expect(factor([dense(1, Number.NaN)], 1)).toBeNaN();
  });
});
