import { afterAll, describe, expect, it } from "vitest";
import { native } from "../../src/native.js";
import { add, multiply, sum } from "../../src/ops/index.js";
import { backward, opNames, scope, Tensor, type TypedArray, threads } from "../../src/tensor/index.js";
import { bytes, expectClose, largest, rounded, signed } from "../numbers.js";
import { type Instance, opCases } from "../ops.cases.js";

type Real = "f32" | "f64";

interface Evaluation {
  readonly output: TypedArray;
  /** Null where no gradient was asked for. */
  readonly gradients: readonly (TypedArray | null)[];
}

const weights = (t: number, size: number) => rounded(signed(t, size));

/** Output, and the gradients of Σ r · output for each random tensor number r (added up where there are two). */
function evaluate(
  { inputs, run }: Instance,
  dtype: Real,
  trained = inputs.map((input) => input.trained),
  randoms: readonly number[] = [1],
): Evaluation {
  return scope(() => {
    const tensors = inputs.map(({ shape, data, dtype: own }, i) =>
      Tensor.from(data, shape, { dtype: own ?? dtype, requiresGradient: trained[i] }),
    );
    let output: Tensor | undefined;
    const losses = randoms.map((t) => {
      output = run(tensors);
      return sum(multiply(output, Tensor.from(weights(t, output.size), output.shape, { dtype })));
    });
    const result = (output as Tensor).dataSync();
    if (trained.includes(true)) backward(losses.reduce(add));
    const gradients = tensors.map(({ gradient }, i) => {
      expect(gradient !== null, `input ${i} has a gradient`).toBe(trained[i]);
      const values = gradient?.dataSync() ?? null;
      gradient?.dispose();
      return values;
    });
    return { output: result, gradients };
  });
}

/** dL/dx of one input by the five-point rule, whose error is h⁴ / 30 times the fifth derivative. */
function differences({ inputs, reference }: Instance, index: number): Float64Array {
  const data = inputs.map((input) => input.data.slice());
  const r = weights(1, reference(data).length);
  const step = 1e-3;
  const loss = () => reference(data).reduce((total, value, i) => total + r[i] * value, 0);
  return inputs[index].data.map((value, i) => {
    const at = (offset: number) => {
      data[index][i] = value + offset;
      return loss();
    };
    const slope = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
    data[index][i] = value;
    return slope;
  });
}

const before = threads();
afterAll(() => {
  threads(before);
});

it("runs the kernels of the instruction set that EASTING_ISA names", () => {
  if (process.env.EASTING_ISA) expect(native.devices().isa).toBe(process.env.EASTING_ISA);
});

it("every op has a row in the case table", () => {
  expect([...new Set(opCases.map(({ op }) => op))].sort()).toEqual([...opNames()].sort());
});

describe.each(opCases.map((row) => [`${row.op}: ${row.title}`, row.make] as const))("%s", (_, make) => {
  const small = make(false);

  it("computes what plain loops compute", () => {
    const expected = small.reference(small.inputs.map(({ data }) => data));
    expectClose(evaluate(small, "f64").output, expected, { relative: 1e-10, absolute: 1e-10 });
    expectClose(evaluate(small, "f32").output, expected, { relative: 1e-5, absolute: 1e-5 });
  });

  it("has the gradient that difference quotients give", () => {
    const { gradients } = evaluate(small, "f64");
    for (const [i, gradient] of gradients.entries())
      if (gradient)
        expectClose(gradient, differences(small, i), { relative: 1e-6, absolute: 1e-10 }, `gradient of input ${i}`);
  });

  it("gives each input the same gradient whichever others need one", () => {
    const { gradients } = evaluate(small, "f64");
    for (const [i, gradient] of gradients.entries()) {
      if (!gradient) continue;
      const alone = evaluate(
        small,
        "f64",
        small.inputs.map((_, j) => j === i),
      ).gradients[i];
      expectClose(alone as TypedArray, gradient, { relative: 1e-14 }, `gradient of input ${i} alone`);
    }
  });

  it("adds up the gradients of inputs used twice", () => {
    const [first, second, both] = [[1], [2], [1, 2]].map(
      (randoms) => evaluate(small, "f64", undefined, randoms).gradients,
    );
    for (const [i, gradient] of both.entries())
      if (gradient) {
        const sums = Float64Array.from(gradient, (_, k) => (first[i]?.[k] ?? 0) + (second[i]?.[k] ?? 0));
        const size = Math.max(largest(first[i] ?? []), largest(second[i] ?? []));
        expectClose(gradient, sums, { relative: 0, absolute: 1e-12 * size }, `gradient of input ${i}`);
      }
  });

  const large = make(true);

  it("agrees in f32 with f64 on large inputs", () => {
    const [single, double] = [evaluate(large, "f32"), evaluate(large, "f64")];
    expectClose(single.output, double.output, { relative: 2e-6, absolute: 1e-5 }, "output");
    for (const [i, gradient] of double.gradients.entries())
      if (gradient)
        expectClose(
          single.gradients[i] as TypedArray,
          gradient,
          { relative: 1e-5, absolute: 1e-5 },
          `gradient of input ${i}`,
        );
  });

  it("computes the same bits on one thread, two and three", () => {
    const [one, ...others] = [1, 2, 3].map((count) => {
      threads(count);
      const { output, gradients } = evaluate(large, "f32");
      return [output, ...gradients].map((array) => (array ? bytes(array) : null));
    });
    for (const other of others) expect(other).toEqual(one);
  });
});
