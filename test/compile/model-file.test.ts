import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compile,
  costOf,
  decodeModel,
  encodeModel,
  type Graph,
  type Int8Graph,
  interpret,
  interpretInt8,
  openModel,
  quantize,
} from "../../src/compile/index.js";
import { expectClose, uniform } from "../numbers.js";
import { classNames, evaluated, imageInput, type NetworkSpec, randomNetwork } from "./networks.js";

const small: NetworkSpec = { model: "resnet20", mask: "live", count: 120, side: 8, seed: 1 };

function compiled(spec: NetworkSpec) {
  const model = randomNetwork(spec);
  const { image } = evaluated(model, spec.side);
  const { graph } = compile(model, imageInput(spec.side), classNames(10));
  model.dispose();
  return { graph, image };
}

/** The file with its checksum set right. */
function sealed(file: Uint8Array): Uint8Array {
  new DataView(file.buffer).setUint32(file.length - 4, crc32(file.subarray(0, -4)), true);
  return file;
}

function changed(file: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  const copy = file.slice();
  copy.set(bytes, at);
  return sealed(copy);
}

const code = (act: () => unknown): string | undefined => {
  try {
    act();
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

describe("a model file", () => {
  it.each<[string, NetworkSpec]>([
    ["with weights of its own", small],
    ["with shared weights", { ...small, model: "resnet34", count: 1500, share: true }],
    ["with bands of biases", { ...small, model: "resnet50", mask: "random", count: undefined, density: 0.001 }],
    ["with a max-pool", { ...small, model: "resnet18-imagenet", side: 64, count: 1000 }],
  ])("%s gives the same logits, bit by bit", (_, spec) => {
    const { graph, image } = compiled(spec);
    const read = decodeModel(encodeModel(graph));
    expect(interpret(read, image)).toEqual(interpret(graph, image));
    expect(costOf(read)).toEqual(costOf(graph));
    expect(read.classes).toEqual(graph.classes);
  });

  it("holds f16 weights in half the bytes, to 11 bits", () => {
    const { graph, image } = compiled(small);
    const [single, half] = [encodeModel(graph), encodeModel(graph, { values: "f16" })];
    expect(single.length - half.length).toBe(2 * costOf(graph).weights);
    expectClose(interpret(decodeModel(half), image), interpret(graph, image), { relative: 1e-2 });
  });

  it("names classes only where they are not numbered", () => {
    const { graph } = compiled(small);
    const numbered: Graph = { ...graph, classes: graph.classes.map((_, i) => String(i)) };
    expect(decodeModel(encodeModel(numbered)).classes).toEqual(numbered.classes);
    expect(encodeModel(numbered).length).toBeLessThan(encodeModel(graph).length);
  });
});

const pixels = (side: number, seed: number) =>
  Uint8Array.from(uniform(seed, 3 * side * side), (u) => Math.floor(256 * u));

describe("a model file in integers", () => {
  it.each<[string, NetworkSpec]>([
    ["with weights of its own", small],
    ["with shared places of weights", { ...small, model: "resnet34", count: 1500, share: true }],
    ["with bands of biases", { ...small, model: "resnet50", mask: "random", count: undefined, density: 0.001 }],
    ["with a max-pool", { ...small, model: "resnet18-imagenet", side: 64, count: 1000 }],
  ])("%s gives the same logits, bit by bit, and is far smaller", (_, spec) => {
    const { graph } = compiled(spec);
    const integers = quantize(graph, [pixels(spec.side, 1), pixels(spec.side, 2)]);
    const file = encodeModel(integers);
    const read = openModel(file);
    expect(read.values).toBe("int8");
    for (let seed = 3; seed < 6; seed++) {
      const image = pixels(spec.side, seed);
      expect(interpretInt8(read.graph as Int8Graph, image)).toEqual(interpretInt8(integers, image));
    }
    expect(file.length).toBeLessThan(0.6 * encodeModel(graph).length);
    expect(() => decodeModel(file, "x.easting")).toThrow("x.easting: expected weights in f32 or f16, got int8");
  });
});

/** Layers of so many channels of a pixel each, all read by each of the next, the last by two logits. */
function denseGraph(layers: readonly number[]): Int8Graph {
  let plane = 1;
  let layer = [0];
  const convolution = (count: number): Int8Graph["steps"][number] => {
    const read = layer;
    const rows = Array.from({ length: count }, (_, i) => {
      const [first, end] = [i * read.length, (i + 1) * read.length];
      return { plane: plane + i, channel: i, first, end, multiplier: 1, shift: 7, bias: 0, residual: null };
    });
    layer = rows.map((row) => row.plane);
    plane += count;
    const weights = Int8Array.from({ length: count * read.length }, (_, k) => (k % 127) + 1);
    const zeros = new Int8Array(weights.length);
    const taps = Int32Array.from(weights, (_, k) => read[k % read.length]);
    return {
      // Layers of the same size share their weights.
      ...{ op: "convolution", height: 1, width: 1, stride: 1, tensor: read.length === count ? count : null },
      ...{ inputs: taps, dy: zeros, dx: zeros, weights, rows },
    };
  };
  const steps = [...layers, 2].map(convolution);
  const image = { shape: [1, 1, 1] as const, mean: [0], std: [1] };
  return { image, classes: ["a", "b"], steps, zeros: new Uint8Array(plane), logitScale: 1 };
}

it("a dense network in integers is refused when it is written if it would be when it is read", {
  timeout: 60_000,
}, () => {
  expect(openModel(encodeModel(denseGraph([300, 310]))).graph.steps.length).toBe(3);
  expect(() => encodeModel(denseGraph([1700, 1710]))).toThrow(
    "model file: expected a network within the limits of its readers, got one that they refuse (expected contents that take at most 4 times the file and 12582912 bytes, got more); leave fewer weights or channels",
  );
});

it("shared weights are written at each use where reading them once would take more memory than readers allow", {
  timeout: 60_000,
}, () => {
  const graph = denseGraph([387, 387, 387, 387, 387, 387]);
  const { steps } = openModel(encodeModel(graph)).graph;
  expect(steps.map((step) => step.op === "convolution" && step.weights)).toEqual(
    graph.steps.map((step) => step.op === "convolution" && step.weights),
  );
});

describe.each([
  ["f32", (graph: Graph) => encodeModel(graph)],
  ["int8", (graph: Graph) => encodeModel(quantize(graph, [pixels(8, 1)]))],
] as const)("a damaged model file in %s is refused", (_, encode) => {
  const { graph } = compiled(small);
  const file = encode(graph);

  it("with any single bit flipped", () => {
    for (let bit = 0; bit < 8 * file.length; bit++) {
      const copy = file.slice();
      copy[bit >> 3] ^= 1 << (bit & 7);
      expect(
        code(() => openModel(copy)),
        `bit ${bit}`,
      ).toBe("EASTING_MODEL_FILE");
    }
  });

  it("cut off anywhere, or with bytes behind it", () => {
    for (let length = 0; length < file.length; length++)
      expect(code(() => openModel(file.subarray(0, length)))).toBe("EASTING_MODEL_FILE");
    expect(code(() => openModel(Uint8Array.of(...file, 0)))).toBe("EASTING_MODEL_FILE");
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["another file", new TextEncoder().encode("x".repeat(100)), /expected a model, got a file that does not begin/],
    ["another version", changed(file, 8, 2), /expected model file version 1, got version 2/],
    [
      "an unknown type of weights",
      changed(file, 10, 7),
      /expected weights of type 0 \(f32\), 1 \(f16\) or 2 \(int8\), got 7/,
    ],
    ["more planes than it has", changed(file, 28, 255, 255), /expected 65535 planes and nothing besides/],
    ["too many planes", changed(file, 28, 255, 255, 255), /expected at most 65536 planes, got 16777215/],
    ["more numbers than bytes", changed(file, 16, 255, 255, 255, 255), /bytes by the counts in the header/],
    ["a mean that is no number", changed(file, 32, 0, 0, 192, 127), /expected finite numbers, got NaN/],
    ["a deviation of 0", changed(file, 44, 0, 0, 0, 0), /expected standard deviations above 0, got 0/],
  ])("that is %s", (_, bytes, message) => {
    expect(() => openModel(bytes, "x.easting")).toThrow(message);
    expect(code(() => openModel(bytes))).toBe("EASTING_MODEL_FILE");
  });

  it("or read, but never more than an error, with any bytes in it and a right checksum", () => {
    fc.assert(
      fc.property(fc.nat(file.length - 5), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
        const copy = file.slice();
        copy.set(bytes.subarray(0, file.length - 4 - at), at);
        expect([undefined, "EASTING_MODEL_FILE"]).toContain(code(() => openModel(sealed(copy))));
      }),
      { numRuns: 3000, seed: 1 },
    );
  });
});
