import { describe, expect, it } from "vitest";
import { compile, type Graph } from "../../src/compile/index.js";
import { classify } from "../../src/inference/classify.js";
import { load, Network } from "../../src/inference/index.js";
import { imageInput, randomNetwork } from "../compile/networks.js";

/** Two classes that are the mean of the red and of the green pixels, 0 to 1, of 2 × 2 RGB images. */
const colours: Graph = {
  image: { shape: [3, 2, 2], mean: [0, 0, 0], std: [1, 1, 1] },
  classes: ["red", "green"],
  steps: [
    {
      ...{ op: "averagePool", height: 1, width: 1 },
      rows: [0, 1].map((c) => ({ plane: 3 + c, channel: c, input: { plane: c, offset: 0, floor: -Infinity } })),
    },
    {
      ...{ op: "convolution", height: 1, width: 1, stride: 1, relu: false, tensor: null },
      ...{ inputs: Int32Array.of(3, 4), dy: new Int8Array(2), dx: new Int8Array(2), weights: Float32Array.of(1, 1) },
      rows: [0, 1].map((c) => ({
        ...{ plane: 5 + c, channel: c, first: c, end: c + 1, scale: 1, bias: 0, residual: null },
      })),
    },
  ],
};
const red = [255, 0, 0];
const green = [0, 255, 0];

describe("run", () => {
  it("names the most probable class, with the probability of each", async () => {
    using net = new Network(colours);
    const [result] = await net.run(Uint8Array.from([...red, ...red, ...red, ...red]));
    // Logits 1 and 0: softmax gives e / (e + 1) and 1 / (e + 1).
    expect(result).toMatchObject({ label: "red", index: 0 });
    expect(result.probability).toBeCloseTo(0.7310585786, 6);
    expect(result.top.map(({ label }) => label)).toEqual(["red", "green"]);
    expect(result.top[1].probability).toBeCloseTo(0.2689414214, 6);
    expect([...result.logits]).toEqual([1, 0]);
  });

  it("takes images as a canvas gives them, as one array, and as several", async () => {
    using net = new Network(colours);
    const half = Uint8Array.from([...red, ...red, ...green, ...green]);
    const canvas = Uint8ClampedArray.from([red, green, green, green].flatMap((pixel) => [...pixel, 255]));
    const decoded = { data: canvas, width: 2, height: 2 };
    const logits = async (images: Parameters<Network["run"]>[0]) =>
      (await net.run(images)).map((result) => [...result.logits]);
    expect(await logits(decoded)).toEqual([[0.25, 0.75]]);
    expect(await logits(Uint8Array.of(...half, ...half))).toEqual([
      [0.5, 0.5],
      [0.5, 0.5],
    ]);
    expect(await logits([half, decoded])).toEqual([
      [0.5, 0.5],
      [0.25, 0.75],
    ]);
    expect(await logits(new Float32Array(12).fill(2))).toEqual([[2, 2]]);
  });

  it("keeps runs in order, and does not see what happens to the pixels after the call", async () => {
    using net = new Network(colours);
    const image = Uint8Array.from([...red, ...red, ...red, ...red]);
    const first = net.run(image);
    image.fill(0);
    const [[one], [two]] = await Promise.all([first, net.run(image)]);
    expect([[...one.logits], [...two.logits]]).toEqual([
      [1, 0],
      [0, 0],
    ]);
  });

  it.each([
    ["images of another size", new Uint8Array(13), "run: expected images of 3 × 2 × 2 numbers, got 13 numbers"],
    ["no image", [], "run: expected at least one image, got none"],
    ["an empty array", new Uint8Array(0), "run: expected images of 3 × 2 × 2 numbers, got 0 numbers"],
    ["bytes and floats at once", [new Uint8Array(12), new Float32Array(12)], "all images as bytes or all as floats"],
    ["an ordinary array", [[1, 2, 3]], "run: expected a Uint8Array, a Float32Array or { data, width, height }"],
    [
      "a picture of another size",
      { data: new Uint8Array(36), width: 4, height: 3 },
      "run: expected an image of 2 × 2 pixels, got 4 × 3; resize it",
    ],
    ["a grey picture", { data: new Uint8Array(4), width: 2, height: 2 }, "3 channels, or one more for alpha, got 1"],
  ])("refuses %s", async (_, images, message) => {
    using net = new Network(colours);
    await expect(net.run(images as never)).rejects.toThrow(message);
  });

  it("refuses options that make no sense", async () => {
    using net = new Network(colours);
    await expect(net.run(new Uint8Array(12), { top: 0 })).rejects.toThrow("run: expected a whole number from 1 on");
    await expect(net.run(new Uint8Array(12), { layout: "nhwc" as never })).rejects.toThrow('"hwc" or "chw" as layout');
  });
});

describe("close", () => {
  it("lets runs under way finish, and refuses later ones", async () => {
    const net = new Network(colours);
    const running = net.run(new Uint8Array(12));
    net.close();
    net.close();
    expect((await running).length).toBe(1);
    await expect(net.run(new Uint8Array(12))).rejects.toThrow("run: expected an open network, got a closed one");
  });

  it("touches no other network", async () => {
    using other = new Network(colours);
    new Network(colours).close();
    expect((await other.run(new Uint8Array(12)))[0].index).toBe(0);
  });
});

describe("load", () => {
  it("refuses what is no model file, and says which file", async () => {
    await expect(load(new Uint8Array(100))).rejects.toMatchObject({ code: "EASTING_MODEL_FILE" });
    await expect(load("no/such.easting")).rejects.toMatchObject({ code: "EASTING_MODEL_FILE" });
    await expect(load("no/such.easting")).rejects.toThrow("no/such.easting");
  });
});

describe("the most probable classes", () => {
  it("come in order, the first of equal ones first", () => {
    const { top } = classify(Float32Array.of(1, 3, 3, 2), ["a", "b", "c", "d"], 3);
    expect(top.map(({ label }) => label)).toEqual(["b", "c", "d"]);
  });

  it("have finite probabilities for logits that overflow exp", () => {
    expect(classify(Float32Array.of(1000, 0), ["a", "b"], 2).top.map(({ probability }) => probability)).toEqual([1, 0]);
  });
});

it("computes a network of any batch while JavaScript goes on", async () => {
  const model = randomNetwork({ model: "resnet50", mask: "live", count: 20_000, side: 32, seed: 3 });
  const { graph } = compile(model, imageInput(32), ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
  model.dispose();
  using net = new Network(graph);
  let turns = 0;
  let done = false;
  const running = net.run(new Uint8Array(200 * 3 * 32 * 32)).then(() => {
    done = true;
  });
  while (!done) {
    await new Promise(setImmediate);
    turns++;
  }
  await running;
  expect(turns).toBeGreaterThan(10);
});
