import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildModel } from "../../src/models/index.js";
import { DyReLU, type Module } from "../../src/nn/index.js";
import {
  decodeSafetensors,
  encodeSafetensors,
  exportWeights,
  importWeights,
  type StoredTensor,
} from "../../src/pytorch/index.js";
import { nnzOf, prunable } from "../../src/sparse/index.js";
import { temporaryFolder } from "../cli/easting.js";
import { evaluated, type NetworkSpec, randomNetwork } from "../compile/networks.js";
import { expectClose } from "../numbers.js";
import { python } from "../python/python.js";

const folder = temporaryFolder();
const small: NetworkSpec = { model: "resnet20", mask: "random", density: 0.1, side: 8, seed: 1 };

const exported = (model: Module) => exportWeights(model, new Map());
const decoded = (bytes: Uint8Array) => decodeSafetensors(bytes, "x.safetensors");

/** The logits of a network of this name with the weights of a file. */
function imported(bytes: Uint8Array, name: string, side: number, classifierBias = false) {
  const model = buildModel(name, { classes: 10, classifierBias });
  importWeights(model, decoded(bytes), "x.safetensors");
  const { logits } = evaluated(model, side);
  const weights = nnzOf(prunable(model.parameters()));
  model.dispose();
  return { logits, weights };
}

describe("exported weights", () => {
  it("have torchvision's names and shapes, and masks where they are sparse", () => {
    const model = randomNetwork({ ...small, model: "resnet50-imagenet", density: 0.001, side: 32 });
    const { tensors, metadata } = decoded(exported(model));
    model.dispose();
    expect(metadata).toEqual(new Map([["format", "pt"]]));
    // 53 convolutions, each with a mask and a BatchNorm of four tensors, and the classifier with its mask and bias.
    expect(tensors.size).toBe(53 * 6 + 3);
    const shapes = Object.fromEntries([...tensors].map(([name, { dtype, shape }]) => [name, `${dtype} ${shape}`]));
    expect(shapes).toMatchObject({
      "conv1.weight": "F32 64,3,7,7",
      "conv1.weight_mask": "BOOL 64,3,7,7",
      "bn1.running_mean": "F32 64",
      "bn1.running_var": "F32 64",
      "layer1.0.conv3.weight": "F32 256,64,1,1",
      "layer1.0.bn3.bias": "F32 256",
      "layer4.0.downsample.0.weight": "F32 2048,1024,1,1",
      "layer4.0.downsample.1.running_var": "F32 2048",
      "fc.weight": "F32 10,2048",
      "fc.bias": "F32 10",
    });
  });

  it("are read by Python's safetensors, which writes what is imported again", (context) => {
    const model = randomNetwork(small);
    const file = join(folder, "small.safetensors");
    const copy = join(folder, "copy.safetensors");
    writeFileSync(file, exported(model));
    const { tensors, metadata } = JSON.parse(python(context, "read_safetensors.py", file, copy));
    expect(metadata).toEqual({ format: "pt" });
    expect(tensors["fc.weight"].slice(0, 2)).toEqual(["float32", [10, 64]]);
    const masked = Object.entries<[string, number[], number]>(tensors).filter(([name]) => name.endsWith("_mask"));
    expect(masked.map(([, [dtype]]) => dtype)).toEqual(masked.map(() => "bool"));
    const weights = nnzOf(prunable(model.parameters()));
    expect(masked.reduce((sum, [, [, , kept]]) => sum + kept, 0)).toBe(weights);
    const again = imported(readFileSync(copy), "resnet20", 8); // in f16
    expect(again.weights).toBe(weights);
    expectClose(again.logits, evaluated(model, 8).logits, { relative: 1e-2 });
    model.dispose();
  });

  it("of shared convolutions are each one's own, with the scale multiplied in", () => {
    const model = randomNetwork({ model: "resnet34", mask: "live", count: 2000, share: true, side: 32, seed: 5 });
    const { logits } = imported(exported(model), "resnet34", 32);
    expectClose(logits, evaluated(model, 32).logits, { relative: 1e-5 });
    model.dispose();
  });

  it("are refused while DyReLU mixes channels", () => {
    const phase = { beta: 0.5, blend: "coefficients" as const };
    const model = buildModel("resnet20", { classes: 10, activation: (c) => new DyReLU(c, { phase }) });
    expect(() => exported(model)).toThrow("export: expected plain ReLUs, got DyReLU");
    model.dispose();
  });
});

describe("imported weights", () => {
  const model = randomNetwork(small);
  const { logits } = evaluated(model, 8);
  const file = exported(model);
  const { tensors } = decoded(file);
  const changed = (change: (tensors: Map<string, StoredTensor>) => void) => {
    const copy = new Map(tensors);
    change(copy);
    return encodeSafetensors({ tensors: copy, metadata: new Map() });
  };

  it("give the logits of the network that they came from, bit by bit", () => {
    expect(imported(file, "resnet20", 8).logits).toEqual(logits);
  });

  it("are as sparse by their zeros as by masks", () => {
    const unmasked = changed((each) => {
      for (const name of tensors.keys()) if (name.endsWith("_mask")) each.delete(name);
    });
    const found = imported(unmasked, "resnet20", 8);
    expectClose(found.logits, logits, { relative: 1e-6 });
    // A weight that is 0 in less than half of its places is dense.
    const sizes = prunable(model.parameters()).map(({ nnz, size }) => (2 * nnz > size ? size : nnz));
    expect(found.weights).toBe(sizes.reduce((sum, size) => sum + size, 0));
  });

  it("may have the names of torch.nn.utils.prune and of other ResNets, in bf16", () => {
    const other = changed((each) => {
      for (const [name, tensor] of tensors) {
        each.delete(name);
        const words = new Uint16Array(Uint8Array.from(tensor.bytes).buffer);
        const upper = tensor.dtype === "F32" && words.filter((_, i) => i % 2 === 1);
        each.set(
          `module.${name.replace("downsample", "shortcut").replace("conv2.weight", "conv2.weight_orig").replace("_orig_", "_")}`,
          upper ? { ...tensor, dtype: "BF16", bytes: new Uint8Array(upper.buffer) } : tensor,
        );
      }
    });
    expectClose(imported(other, "resnet20", 8).logits, logits, { relative: 0.05 });
  });

  it("may have a bias in the classifier, where the network has one", () => {
    const bias = Float32Array.from({ length: 10 }, (_, i) => i);
    const biased = changed((each) => {
      each.set("fc.bias", { dtype: "F32", shape: [10], bytes: new Uint8Array(bias.buffer) });
    });
    expectClose(
      imported(biased, "resnet20", 8, true).logits,
      logits.map((logit, i) => logit + i),
      { relative: 1e-6 },
    );
    expect(() => imported(biased, "resnet20", 8)).toThrow("expected tensors of this network only, got fc.bias");
  });

  it.each<[string, (tensors: Map<string, StoredTensor>) => void, string]>([
    ["a tensor missing", (each) => each.delete("bn1.weight"), "expected a tensor bn1.weight, got none"],
    [
      "another shape",
      (each) => each.set("bn1.weight", { dtype: "F32", shape: [1], bytes: new Uint8Array(4) }),
      "expected bn1.weight of shape [16], got [1]",
    ],
    [
      "another type",
      (each) => each.set("bn1.weight", { dtype: "U8", shape: [16], bytes: new Uint8Array(16) }),
      "expected bn1.weight of type F32, F64, F16 or BF16, got U8",
    ],
    [
      "a number that is none",
      (each) => each.set("bn1.weight", { dtype: "F32", shape: [16], bytes: new Uint8Array(64).fill(255) }),
      "expected finite numbers in bn1.weight, got NaN",
    ],
    [
      "a mask in numbers",
      (each) => each.set("conv1.weight_mask", { dtype: "U8", shape: [16, 3, 3, 3], bytes: new Uint8Array(432) }),
      "expected masks of type BOOL, got U8",
    ],
  ])("are refused with %s", (_, change, message) => {
    expect(() => imported(changed(change), "resnet20", 8)).toThrow(`x.safetensors: ${message}`);
  });

  it("are refused in another network", () => {
    expect(() => imported(file, "resnet32", 8)).toThrow("expected a tensor layer1.3.conv1.weight, got none");
    expect(() => imported(file, "resnet18", 8)).toThrow(
      "expected conv1.weight of shape [64, 3, 3, 3], got [16, 3, 3, 3]",
    );
  });
});
