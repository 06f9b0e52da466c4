import type { Module } from "../nn/index.js";
import { type Tensor, tape } from "../tensor/index.js";

/** Where a forward pass first left the finite numbers: the name of the layer, and what it computed. */
export function firstNonFinite(model: Module, loss: Tensor): string {
  const names = new Map<Tensor, string>();
  for (const [name, parameter] of model.namedParameters()) names.set(parameter.leaf, name);
  for (const [tensor, name] of names) if (!allFinite(tensor)) return `${name} (the weights themselves)`;
  let layer = "the network";
  for (const node of tape(loss).reverse()) {
    // The first weight names the layer: a convolution may carry those of the normalisation before it as well.
    const name = node.inputs.map((input) => input && names.get(input)).find(Boolean);
    if (name) layer = name.slice(0, name.lastIndexOf("."));
    for (const input of node.inputs)
      if (input && !names.has(input) && !input.node && !allFinite(input)) return "the images";
    if (!allFinite(node.output)) return `${layer} (output of ${node.name})`;
  }
  return "the loss";
}

function allFinite(tensor: Tensor): boolean {
  return tensor.dataSync().every(Number.isFinite);
}
