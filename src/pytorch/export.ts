import { SharedConv2d } from "../east/index.js";
import { expected } from "../errors.js";
import { DyReLU, Linear, type Module, Parameter } from "../nn/index.js";
import { torchName, torchState } from "./names.js";
import { encodeSafetensors, type StoredTensor } from "./safetensors.js";

/**
 * Weights and masks of a network as a safetensors file, by torchvision's names: f32 weights with zeros where none exist, and
 * beside each sparse one `<name>_mask`, bool. Convolutions that share a weight get their own, the scale multiplied in; a
 * classifier without bias gets zeros. So the file is a plain ResNet's `state_dict` and its masks.
 */
export function exportWeights(model: Module, metadata: ReadonlyMap<string, string>): Uint8Array {
  const tensors = new Map<string, StoredTensor>();
  const add = (name: string, parameter: Parameter, factor = 1) => {
    const { shape, sparse, leaf } = parameter;
    const values = dense(parameter, leaf.dataSync(), factor);
    tensors.set(name, { dtype: "F32", shape, bytes: new Uint8Array(values.buffer) });
    if (!sparse) return;
    const mask = new Uint8Array(parameter.size);
    for (const index of sparse.topology.indices) mask[index] = 1;
    tensors.set(`${name}_mask`, { dtype: "BOOL", shape, bytes: mask });
  };
  const shared = new Set<Parameter>();
  for (const [path, module] of model.modules()) {
    if (module instanceof DyReLU && module.squeeze)
      throw expected(
        "export",
        "plain ReLUs",
        "DyReLU, which PyTorch's ResNets do not have",
        "train past the end of DyReLU's phasing, or take a later checkpoint",
        "EASTING_COMPILE",
      );
    if (module instanceof SharedConv2d) {
      shared.add(module.scale);
      add(torchName(`${path}.weight`), module.source.weight, module.scale.leaf.item());
    }
    if (module instanceof Linear && !module.bias) {
      const [outputs] = module.weight.shape;
      tensors.set(`${path}.bias`, { dtype: "F32", shape: [outputs], bytes: new Uint8Array(4 * outputs) });
    }
  }
  for (const [name, value] of torchState(model)) {
    if (value instanceof Parameter) {
      if (!shared.has(value)) add(name, value);
    } else {
      const values = Float32Array.from(value.dataSync());
      tensors.set(name, { dtype: "F32", shape: value.shape, bytes: new Uint8Array(values.buffer) });
    }
  }
  return encodeSafetensors({ tensors, metadata: new Map([["format", "pt"], ...metadata]) });
}

function dense({ size, sparse }: Parameter, stored: ArrayLike<number>, factor: number): Float32Array {
  const values = new Float32Array(size);
  for (let k = 0; k < stored.length; k++) values[sparse ? sparse.topology.indices[k] : k] = factor * stored[k];
  return values;
}
