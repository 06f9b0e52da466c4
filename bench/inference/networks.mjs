// The networks of the benchmark: every weight on a path from image to logit, statistics as if trained.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const work = join(root, "build", "inference");

/** The generators of the tests, compiled against the built package. */
async function generators() {
  const source = ["numbers.ts", "compile/networks.ts"];
  for (const name of source) {
    const text = readFileSync(join(root, "test", name), "utf8");
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    const to = join(work, "generators", "test", name.replace(/\.ts$/, ".js"));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, outputText.replaceAll('"../../src/', `"${pathToFileURL(join(root, "dist"))}/`));
  }
  writeFileSync(join(work, "generators", "package.json"), '{ "type": "module" }\n');
  return import(pathToFileURL(join(work, "generators", "test", "compile", "networks.js")).href);
}

/** @typedef {{ name: string, model: string, side: number, classes: number, sparsity: number, share: boolean, latency: number, ratio: number }} Case */
/** Latency in milliseconds and ratio to ONNX Runtime are what the project promises. @type {Case[]} */
export const cases = [
  {
    name: "resnet50-imagenet-99.9",
    model: "resnet50-imagenet",
    side: 224,
    classes: 1000,
    sparsity: 99.9,
    share: false,
    latency: 7,
    ratio: 11,
  },
  {
    name: "resnet50-imagenet-99.5",
    model: "resnet50-imagenet",
    side: 224,
    classes: 1000,
    sparsity: 99.5,
    share: false,
    latency: 12,
    ratio: 6,
  },
  {
    name: "resnet50-cifar-east-99.95",
    model: "resnet50",
    side: 32,
    classes: 10,
    sparsity: 99.95,
    share: true,
    latency: 1,
    ratio: 25,
  },
  {
    name: "resnet34-cifar-east-99.99",
    model: "resnet34",
    side: 32,
    classes: 10,
    sparsity: 99.99,
    share: true,
    latency: 0.15,
    ratio: 120,
  },
];

/** A compiled network with drawn masks. Density counts against it without shared weights, as the paper does. @param {Omit<Case, "name" | "latency" | "ratio">} of */
async function drawn({ model, side, classes, sparsity, share }) {
  const { classNames, imageInput, randomNetwork } = await generators();
  const { buildModel, compile, prunable } = await import("easting");
  const whole = buildModel(model, { classes });
  const stored = prunable(whole.parameters()).reduce((sum, { size }) => sum + size, 0);
  whole.dispose();
  const count = Math.round(stored * (1 - sparsity / 100));
  const network = randomNetwork({ model, count, mask: "live", share, side, classes, seed: 1 });
  const result = compile(network, imageInput(side), classNames(classes));
  network.dispose();
  return { network: model, trained: count, ...result };
}

/** EAST's network for CIFAR. @param {string} model @param {number} sparsity */
export const drawnNetwork = (model, sparsity) => drawn({ model, side: 32, classes: 10, sparsity, share: true });

/** The model file of a case, made where it is not there. @param {Case} of */
export async function modelFile({ name, ...network }) {
  const path = join(work, `${name}.easting`);
  const { encodeModel } = await import("easting");
  const { graph } = await drawn(network);
  mkdirSync(work, { recursive: true });
  writeFileSync(path, encodeModel(graph));
  return path;
}
