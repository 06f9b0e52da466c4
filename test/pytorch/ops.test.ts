import { describe, expect, it } from "vitest";
import {
  batchNorm,
  conv2d,
  dyrelu,
  globalAveragePool,
  linear,
  maxPool,
  multiply,
  relu,
  reshape,
  sum,
} from "../../src/ops/index.js";
import { backward, SparseTensor, scope, sizeOf, Tensor, Topology } from "../../src/tensor/index.js";
import { expectClose, hash32, uniform } from "../numbers.js";
import { activation, fixture, inOrder, type Numbers, positive, weight } from "./fixture.js";

const gradientOf = (tensor: Tensor) => (tensor.gradient as Tensor).dataSync();
/** The loss whose gradient at y is dy. */
const towards = (y: Tensor, dy: Tensor) => sum(multiply(y, reshape(dy, y.shape)));

describe("the formula of the fixture", () => {
  it("is the one written here", () => {
    for (const [x, hash] of fixture.formula.hash32) expect(hash32(x)).toBe(hash);
    for (const [t, f, u] of fixture.formula.u) expect(uniform(t, f + 1)[f]).toBe(u);
  });
});

describe.each([
  ["f64", 1e-10],
  ["f32", 1e-5],
] as const)("as in PyTorch, in %s:", (dtype, relative) => {
  const options = { dtype };
  const trained = { dtype, requiresGradient: true };
  const close = (actual: ArrayLike<number>, expected: ArrayLike<number>, what: string) =>
    expectClose(actual, expected, { relative, absolute: relative }, what);

  it.each(fixture.convolution as { name: string }[])("convolution $name, dense and sparse", (named) => {
    const row = named as typeof named &
      Record<"stride" | "padding", number> &
      Record<"xShape" | "weightShape", number[]> &
      Record<"y" | "dx" | "dweight", Numbers> & { tensors: Record<"x" | "weight" | "dy", number> };
    scope(() => {
      const size = sizeOf(row.weightShape);
      const every = new Topology(
        row.weightShape,
        Int32Array.from({ length: size }, (_, i) => i),
      );
      for (const sparse of [false, true]) {
        const x = activation(row.tensors.x, row.xShape, trained);
        const leaf = weight(row.tensors.weight, sparse ? [size] : row.weightShape, trained);
        const y = conv2d(x, sparse ? new SparseTensor(every, leaf) : leaf, row);
        backward(towards(y, activation(row.tensors.dy, row.y.shape, options)));
        close(y.dataSync(), inOrder(row.y), "y");
        close(gradientOf(x), inOrder(row.dx), "dx");
        close(gradientOf(leaf), row.dweight.data, "dweight");
      }
    });
  });

  it.each(fixture.pooling.filter(({ name }: { name: string }) => name !== "average") as { name: string }[])(
    "$name pooling of $xShape",
    (named) => {
      const row = named as typeof named &
        Record<"kernel" | "stride" | "padding", number> & { xShape: number[] } & Record<"y" | "dx", Numbers> & {
          tensors: Record<"x" | "dy", number>;
        };
      scope(() => {
        const x = activation(row.tensors.x, row.xShape, trained);
        const y = row.name === "max" ? maxPool(x, row) : globalAveragePool(x);
        backward(towards(y, activation(row.tensors.dy, row.y.shape, options)));
        close(y.dataSync(), inOrder(row.y), "y");
        close(gradientOf(x), inOrder(row.dx), "dx");
      });
    },
  );

  it("BatchNorm: output, gradients, running statistics of three steps, evaluation", () => {
    const expected = fixture.batchNorm;
    const shape = [3, 5, 4, 4];
    scope(() => {
      const [scale, bias] = [positive(2010, 5, trained), weight(2011, [5], trained, 0.2)];
      const statistics = { runningMean: Tensor.zeros([5], options), runningVariance: Tensor.full([5], 1, options) };
      const xs = [0, 1, 2].map((s) => activation(2000 + s, shape, s === 0 ? trained : options, 2 + s, 0.3));
      for (const [s, x] of xs.entries()) {
        const y = batchNorm(x, scale, bias, { ...statistics, training: true });
        y.materialize();
        if (s === 0) {
          backward(towards(y, activation(2020, shape, options)));
          close(y.dataSync(), inOrder(expected.y), "y");
          close(gradientOf(x), inOrder(expected.dx), "dx");
          close(gradientOf(scale), expected.dweight.data, "dweight");
          close(gradientOf(bias), expected.dbias.data, "dbias");
        }
        close(statistics.runningMean.dataSync(), expected.runningMean[s].data, `running mean after step ${s}`);
        close(statistics.runningVariance.dataSync(), expected.runningVar[s].data, `running variance after step ${s}`);
      }
      const evaluated = batchNorm(xs[0], scale, bias, { ...statistics, training: false });
      close(evaluated.dataSync(), inOrder(expected.evaluation), "evaluation");
    });
  });

  it.each(Object.keys(fixture.dyrelu.cases))("DyReLU with its two linear layers, %s", (name) => {
    const { blend, beta, ...expected } = fixture.dyrelu.cases[name];
    const shape = [2, 8, 3, 3];
    scope(() => {
      const x = activation(4000, shape, trained, 2);
      const [w1, b1] = [weight(4001, [2, 8], trained, 2), weight(4002, [2], trained, 0.5, 0.5)];
      const [w2, b2] = [weight(4003, [32, 2], trained, 2), weight(4004, [32], trained)];
      const u = linear(relu(linear(globalAveragePool(x), w1, b1)), w2, b2);
      const y = dyrelu(x, u, { beta, blend });
      backward(towards(y, activation(4005, shape, options)));
      close(y.dataSync(), inOrder(expected.y), "y");
      close(gradientOf(x), inOrder(expected.dx), "dx");
      close(gradientOf(w1), expected.dfc1Weight.data, "dfc1Weight");
      close(gradientOf(b1), expected.dfc1Bias.data, "dfc1Bias");
      close(gradientOf(w2), expected.dfc2Weight.data, "dfc2Weight");
      close(gradientOf(b2), expected.dfc2Bias.data, "dfc2Bias");
    });
  });
});
