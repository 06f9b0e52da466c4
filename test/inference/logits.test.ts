import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { compile, encodeModel, type Graph, interpret, interpretInt8, quantize } from "../../src/compile/index.js";
import { load, Network } from "../../src/inference/index.js";
import { threads } from "../../src/tensor/index.js";
import { classNames, imageInput, networks, randomNetwork } from "../compile/networks.js";
import { expectClose, uniform } from "../numbers.js";
import { randomGraph } from "./random-graph.js";

const before = threads();
afterAll(() => threads(before));

const logitsOf = async (net: Network, images: Float32Array | Uint8Array, layout: "hwc" | "chw" = "chw") =>
  Float32Array.from((await net.run(images, { layout })).flatMap(({ logits }) => [...logits]));

const sizeOf = ({ image }: Graph) => image.shape.reduce((product, extent) => product * extent, 1);

/** Normalised images one after the other, and the logits of the interpreter. */
function interpreted(graph: Graph, count: number): { images: Float32Array; logits: Float64Array } {
  const size = sizeOf(graph);
  const images = Float32Array.from(uniform(1, count * size), (u) => 4 * u - 2);
  const one = (i: number) => [...interpret(graph, images.subarray(i * size, (i + 1) * size))];
  return { images, logits: Float64Array.from(Array.from({ length: count }, (_, i) => one(i)).flat()) };
}

describe("the addon gives the logits of the interpreter", () => {
  it.each(networks)("with %s", async (_, spec) => {
    const model = randomNetwork(spec);
    const { graph } = compile(model, imageInput(spec.side), classNames(10));
    model.dispose();
    const { images, logits } = interpreted(graph, 2);
    using net = new Network(graph);
    expectClose(await logitsOf(net, images), logits, { relative: 1e-5 }, "logits");
  });

  it("with random graphs of any strides, paddings and extents", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const graph = randomGraph(seed);
        const { images, logits } = interpreted(graph, 5);
        using net = new Network(graph);
        expectClose(await logitsOf(net, images), logits, { relative: 1e-5 }, `logits of graph ${seed}`);
      }),
      { numRuns: 300 },
    );
  });
});

const small = () => {
  const model = randomNetwork({ model: "resnet34", mask: "live", count: 3000, share: true, side: 32, seed: 11 });
  const { graph } = compile(model, imageInput(32), classNames(10));
  model.dispose();
  return graph;
};

describe("the same bytes", () => {
  it.each([1, 2, 5, 33])("for %i images at once and one by one, on one thread and on two", async (count) => {
    const graph = small();
    const size = sizeOf(graph);
    const images = Float32Array.from(uniform(2, count * size), (u) => 4 * u - 2);
    using net = new Network(graph);
    const single: number[] = [];
    for (let i = 0; i < count; i++) single.push(...(await logitsOf(net, images.subarray(i * size, (i + 1) * size))));
    for (const count of [1, 2]) {
      threads(count);
      expect([...(await logitsOf(net, images))]).toEqual(single);
    }
  });

  it("on one thread and on two where threads share the rows of a step", async () => {
    const model = randomNetwork({ model: "resnet18-imagenet", mask: "live", count: 40_000, side: 128, seed: 12 });
    const { graph } = compile(model, imageInput(128), classNames(10));
    model.dispose();
    const image = Float32Array.from(uniform(3, sizeOf(graph)), (u) => 4 * u - 2);
    using net = new Network(graph);
    threads(1);
    const one = await logitsOf(net, image);
    threads(2);
    for (let i = 0; i < 10; i++) expect(await logitsOf(net, image)).toEqual(one);
  });

  it("for bytes in either layout, and floats normalised as in training", async () => {
    const graph = small();
    using net = new Network(graph);
    const area = 32 * 32;
    const planes = Uint8Array.from(uniform(4, 3 * area), (u) => 256 * u);
    const pixels = planes.map((_, i) => planes[(i % 3) * area + Math.floor(i / 3)]);
    const floats = Float32Array.from(planes, (byte) => (byte / 255 - 0.5) / 0.25);
    const wanted = await logitsOf(net, planes, "chw");
    expect(await logitsOf(net, pixels, "hwc")).toEqual(wanted);
    expectClose(await logitsOf(net, floats), wanted, { relative: 1e-5 }, "logits of floats");
  });
});

describe("networks in integers give the logits of docs/int8.md in every bit", () => {
  it.each(networks)("with %s", async (_, spec) => {
    const model = randomNetwork(spec);
    const { graph } = compile(model, imageInput(spec.side), classNames(10));
    model.dispose();
    const size = sizeOf(graph);
    const images = Array.from({ length: 3 }, (_, i) => Uint8Array.from(uniform(i, size), (u) => 256 * u));
    const int8 = quantize(graph, images);
    const file = encodeModel(int8);
    using net = await load(file);
    const sums = images.flatMap((image) => [...interpretInt8(int8, image)]);
    // The file holds the scale as f32.
    const wanted = sums.map((sum) => Math.fround(Math.fround(sum) * Math.fround(int8.logitScale)));
    for (const count of [1, 2]) {
      threads(count);
      const got = await net.run(images, { layout: "chw" });
      expect(got.flatMap(({ logits }) => [...logits])).toEqual(wanted);
    }
  });
});
