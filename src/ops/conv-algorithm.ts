import { expected } from "../errors.js";
import type { Device } from "../tensor/index.js";

/** Ways to compute a sparse convolution. */
export const convAlgorithms = ["auto", "fused", "cusparse", "dense"] as const;

/**
 * `fused`: the kernels of this library, which visit existing weights alone and take BatchNorm and ReLU along. `cusparse`:
 * NVIDIA's products with sparse matrices, one per tap; on CUDA alone. `dense`: a dense convolution of the weight with its
 * zeros. `auto`: what the table below says on CUDA, `fused` on the CPU.
 */
export type ConvAlgorithm = (typeof convAlgorithms)[number];

/** From which density on a layer is computed how, on CUDA. Not measured: it has not run on a GPU yet. */
const byDensity = [
  { from: 0.05, algorithm: "dense" },
  { from: 0, algorithm: "fused" },
] as const;

/** What is computed where `asked` for, for a weight of this density on this device. */
export function chosenAlgorithm(asked: ConvAlgorithm, density: number, device: Device): Exclude<ConvAlgorithm, "auto"> {
  if (asked === "cusparse" && device === "cpu")
    throw expected("conv", "auto, fused or dense on the CPU", asked, "train on a GPU to use it", "EASTING_CONFIG");
  if (asked !== "auto") return asked;
  const row = byDensity.find(({ from }) => density >= from);
  return device === "cuda" && row ? row.algorithm : "fused";
}
