import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compile, type Graph, interpret, trace } from "../../../src/compile/index.js";
import { onnx } from "../../../src/compile/targets/onnx/index.js";
import { Topology } from "../../../src/tensor/index.js";
import { expectClose, uniform } from "../../numbers.js";
import { python } from "../../python/python.js";
import { classNames, imageInput, type NetworkSpec, randomNetwork } from "../networks.js";

const folder = mkdtempSync(join(tmpdir(), "easting-onnx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const specs: readonly (readonly [string, NetworkSpec])[] = [
  ["random", { model: "resnet20", mask: "random", density: 0.004, side: 16, seed: 1 }],
  ["dense-ish", { model: "resnet20", mask: "random", density: 0.2, side: 15, seed: 2 }],
  ["deep", { model: "resnet56", mask: "live", count: 300, side: 16, seed: 3 }],
  ["bottleneck", { model: "resnet50", mask: "live", count: 3000, side: 32, seed: 4 }],
  ["shared", { model: "resnet34", mask: "live", count: 2000, share: true, side: 32, seed: 5 }],
  ["imagenet", { model: "resnet18-imagenet", mask: "live", count: 2000, side: 64, seed: 7 }],
  ["imagenet-random", { model: "resnet18-imagenet", mask: "random", density: 0.0005, side: 63, seed: 8 }],
];

/** A graph that the network with this mask compiles to, or is traced to. */
function graphOf(spec: NetworkSpec, { traced = false, without = [] as readonly string[] } = {}): Graph {
  const model = randomNetwork(spec);
  for (const name of without) {
    const parameter = model.namedParameters().get(name);
    parameter?.replace(new Topology(parameter.shape, new Int32Array(0)), new Float32Array(0));
  }
  const input = imageInput(spec.side);
  const graph = traced ? trace(model, input, classNames(10)) : compile(model, input, classNames(10)).graph;
  model.dispose();
  return graph;
}

/** Two images of pixels from 0 to 1, and the logits of both. */
function example({ image, ...graph }: Graph): { pixels: Float32Array; logits: readonly Float64Array[] } {
  const size = image.shape.reduce((product, extent) => product * extent, 1);
  const pixels = Float32Array.from(uniform(1, 2 * size));
  const normalized = pixels.map((pixel) => (pixel - image.mean[0]) / image.std[0]); // alike in all channels
  const logits = [0, size].map((from) => interpret({ image, ...graph }, normalized.subarray(from, from + size)));
  return { pixels, logits };
}

describe("an ONNX model gives the logits of the graph", () => {
  it("in ONNX Runtime, for two images at once, with dense and with sparse weights", (context) => {
    const graphs: ReadonlyMap<string, Graph> = new Map([
      ...specs.map(([name, spec]) => [name, graphOf(spec)] as const),
      ["traced", graphOf(specs[0][1], { traced: true })],
      ["constant", graphOf(specs[0][1], { without: ["conv1.weight"] })],
      ["shallow", graphOf(specs[1][1], { without: ["layer1.0.conv1.weight", "layer2.0.shortcut.conv.weight"] })],
    ]);
    for (const [name, graph] of graphs)
      for (const onnxSparse of [false, true]) {
        const file = join(folder, `${name}-${onnxSparse ? "sparse" : "dense"}`);
        writeFileSync(`${file}.onnx`, onnx.emit(graph, { values: "f32", onnxSparse }));
        writeFileSync(`${file}.f32`, example(graph).pixels);
      }
    const banded = [...graphs.values()].filter(({ steps }) =>
      steps.some((step) => step.op === "convolution" && step.rows.some(({ bias }) => typeof bias !== "number")),
    );
    expect(banded.length).toBeGreaterThan(2);
    const found = JSON.parse(python(context, "run_onnx.py", folder));
    expect(Object.keys(found)).toHaveLength(2 * graphs.size);
    for (const [name, graph] of graphs) {
      const { logits } = example(graph);
      for (const form of ["dense", "sparse"]) {
        const model = found[`${name}-${form}`];
        logits.forEach((expected, i) => {
          expectClose(model.logits[i], expected, { relative: 1e-5 }, `${name} ${form}, logits of image ${i}`);
        });
        expect(JSON.parse(model.classes)).toEqual(graph.classes);
        expect(model.opset).toBe(13);
        expect(model.sparse > 0, `${name} ${form} has sparse weights`).toBe(form === "sparse" && name !== "constant");
      }
    }
  });
});

describe("an ONNX file", () => {
  it("is a fraction as large with sparse weights", () => {
    const graph = graphOf(specs[4][1]);
    const [dense, sparse] = [false, true].map((onnxSparse) => onnx.emit(graph, { values: "f32", onnxSparse }).length);
    expect(sparse).toBeLessThan(dense / 4);
  });

  it("is not written with weights in other types", () => {
    expect(() => onnx.emit(graphOf(specs[0][1]), { values: "f16" })).toThrow(
      "--target onnx: expected --values f32, got f16",
    );
  });
});
