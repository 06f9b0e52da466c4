import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeModel, type Int8Graph, interpret, normalized, openModel } from "../../src/compile/index.js";
import { loadWasm } from "../../src/compile/targets/wasm/loader.js";
import { openDataset } from "../../src/data/index.js";
import { load, Network } from "../../src/inference/index.js";
import { available, runHeader } from "../compile/targets/c-compiler.js";
import { python } from "../python/python.js";
import { easting, temporaryFolder } from "./easting.js";

// From training to every form that a network can be deployed in, by the command line alone.

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const IMAGES = 100;
const SIZE = 8 * 8; // digits have one channel: [c, h, w] and [h, w, c] are the same
const images = new Uint8Array(IMAGES * SIZE);
const image = (i: number) => images.subarray(i * SIZE, (i + 1) * SIZE);
let labels: ArrayLike<number>;
/** Class of each image by the model file, as it is defined. */
let classes: number[];

const largest = (logits: ArrayLike<number>) => Array.from(logits).indexOf(Math.max(...Array.from(logits)));
const each = <T>(f: (i: number) => T) => Array.from({ length: IMAGES }, (_, i) => f(i));
/** Classes by logits of all images, one behind the other. */
const classesOf = (logits: Float32Array | Int32Array) => each((i) => largest(logits.subarray(10 * i, 10 * (i + 1))));

function compileTo(file: string, ...flags: string[]): Buffer {
  const { status, stderr } = easting("compile", at("run"), ...flags, "-o", at(file));
  // So small a network may lose two images of 360 to int8, which is more than half a point.
  const unexpected = stderr.replace(/^warning: int8 classifies .*\n/, "");
  expect({ status, stderr: unexpected }).toEqual({ status: 0, stderr: "" });
  return readFileSync(at(file));
}

beforeAll(async () => {
  const settings = ["--model", "resnet20", "--method", "east", "--sparsity", "98", "--epochs", "4", "--batch", "64"];
  expect(easting("train", ...settings, "--out", at("run"), "--json").status).toBe(0);
  const digits = await openDataset("digits");
  await digits.test.read(
    Int32Array.from({ length: IMAGES }, (_, i) => i),
    images,
  );
  labels = digits.test.labels.slice(0, IMAGES);
  await digits.close();
  const graph = decodeModel(compileTo("model.easting"));
  classes = each((i) => largest(interpret(graph, normalized(graph, image(i)))));
});

describe("a network trained by EAST, compiled to every target, classifies 100 images alike", () => {
  it("and better than by chance", () => {
    expect(each((i) => Number(classes[i] === labels[i])).reduce((a, b) => a + b)).toBeGreaterThan(50);
  });

  it("in the addon", async () => {
    using network = await load(at("model.easting"));
    const found = await network.run(each(image), { layout: "chw" });
    expect(found.map(({ index }) => index)).toEqual(classes);
  });

  it("as weights for PyTorch, brought back", () => {
    compileTo("model.safetensors", "--target", "safetensors");
    expect(easting("import", at("model.safetensors"), "-o", at("imported.ckpt")).status).toBe(0);
    expect(easting("compile", at("imported.ckpt"), "-o", at("imported.easting")).status).toBe(0);
    const graph = decodeModel(readFileSync(at("imported.easting")));
    expect(each((i) => largest(interpret(graph, normalized(graph, image(i)))))).toEqual(classes);
  });

  it.skipIf(!available("gcc"))("in C", () => {
    const { logits, selfTest } = runHeader(compileTo("model.h", "--target", "c"), images);
    expect(selfTest).toBe(0);
    expect(classesOf(new Float32Array(logits))).toEqual(classes);
  });

  it("in WebAssembly", async () => {
    const network = await loadWasm(compileTo("model.wasm", "--target", "wasm"));
    expect(each((i) => network.run(image(i)).index)).toEqual(classes);
  });

  it("in ONNX Runtime", (context) => {
    compileTo("model.onnx", "--target", "onnx");
    writeFileSync(
      at("model.f32"),
      Float32Array.from(images, (pixel) => pixel / 255),
    );
    const { logits } = JSON.parse(python(context, "run_onnx.py", folder)).model;
    expect(each((i) => largest(logits[i]))).toEqual(classes);
  });

  it.skipIf(!available("gcc"))(
    "in integers, with the same logits in C, WebAssembly and the addon, bit by bit",
    async () => {
      const { logits, selfTest } = runHeader(compileTo("model.h", "--target", "c", "--int8"), images);
      expect(selfTest).toBe(0);
      const network = await loadWasm(compileTo("int8.wasm", "--target", "wasm", "--int8"));
      const inC = new Int32Array(logits);
      for (let i = 0; i < IMAGES; i++) expect(network.run(image(i)).logits).toEqual(inC.slice(10 * i, 10 * (i + 1)));
      const { graph } = openModel(compileTo("int8.easting", "--int8"));
      using addon = new Network(graph);
      const scale = Math.fround((graph as Int8Graph).logitScale);
      for (const [i, { logits }] of (await addon.run(each(image), { layout: "chw" })).entries())
        expect(logits).toEqual(Float32Array.from(inC.slice(10 * i, 10 * (i + 1)), (sum) => Math.fround(sum) * scale));
      // Integers are coarser: an image between two classes may change sides.
      const alike = classesOf(inC).filter((index, i) => index === classes[i]).length;
      expect(alike).toBeGreaterThanOrEqual(97);
    },
  );
});
