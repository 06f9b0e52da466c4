import { BatchNorm2d, type Module, type Parameter } from "../nn/index.js";
import type { Tensor } from "../tensor/index.js";

/** The name that torchvision's ResNets have for what is called `name` here. */
export const torchName = (name: string): string =>
  name
    .replace(/\bshortcut\.conv\b/, "downsample.0")
    .replace(/\bshortcut\.norm\b/, "downsample.1")
    .replace(/\bnorm(\d)\b/, "bn$1")
    .replace(/\brunningMean$/, "running_mean")
    .replace(/\brunningVariance$/, "running_var");

/** torchvision's name for one that other ResNets in PyTorch have, or that torch.nn.utils.prune gives. */
export const usualName = (name: string): string =>
  name
    .replace(/^module\./, "")
    .replace(/\bshortcut\./, "downsample.")
    .replace(/^linear\./, "fc.")
    .replace(/\.weight_orig$/, ".weight");

/** Parameters and running statistics of BatchNorm, by torchvision's names. */
export function torchState(model: Module): Map<string, Parameter | Tensor> {
  const buffers = [...model.modules()].flatMap(([path, module]) =>
    module instanceof BatchNorm2d
      ? (["runningMean", "runningVariance"] as const).map((name) => [`${path}.${name}`, module[name]] as const)
      : [],
  );
  return new Map([...model.namedParameters(), ...buffers].map(([name, value]) => [torchName(name), value]));
}
