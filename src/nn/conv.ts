import { EastingError } from "../errors.js";
import { native } from "../native.js";
import { chosenAlgorithm } from "../ops/conv-algorithm.js";
import { type ConvAlgorithm, conv2d } from "../ops/index.js";
import type { Device, Tensor } from "../tensor/index.js";
import { Initializer } from "./initialize.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

export interface Conv2dOptions {
  readonly kernel: number;
  readonly stride?: number;
  /** ⌊kernel / 2⌋ by default: the image keeps its size at stride 1. */
  readonly padding?: number;
  readonly init?: Initializer;
}

/** Convolution without bias of `[inputs, h, w, n]` to `[outputs, h', w', n]`; weight `[outputs, inputs, kernel, kernel]`. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly stride: number;
  readonly padding: number;
  /** How it is computed with a sparse weight. */
  algorithm: ConvAlgorithm = "fused";
  #needed: Tensor | null = null;

  constructor(inputs: number, outputs: number, options: Conv2dOptions) {
    super();
    const { kernel, stride = 1, padding = Math.floor(kernel / 2), init = new Initializer() } = options;
    this.weight = new Parameter([outputs, inputs, kernel, kernel], init.fanIn(inputs * kernel * kernel), true);
    this.stride = stride;
    this.padding = padding;
  }
  /** Outputs to compute, `[outputs]` (i32, see `conv2d`); null for all. Used with a sparse weight. */
  get needed(): Tensor | null {
    return this.#needed;
  }
  set needed(needed: Tensor | null) {
    this.#needed = needed;
  }
  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.value, this);
  }
}

/**
 * Has every `Conv2d` of a network computed by `algorithm` where its weight is sparse. Takes NVIDIA's libraries into use,
 * cuBLAS where it is found; fails with EASTING_CONFIG where `cusparse` cannot be had.
 */
export function useConvAlgorithm(model: Module, algorithm: ConvAlgorithm, device: Device): void {
  chosenAlgorithm(algorithm, 1, device);
  if (device === "cuda" && algorithm !== "fused") {
    const wanted = algorithm === "cusparse" && native.libraries?.().find(({ name }) => name === "cuSPARSE");
    if (wanted && wanted.reason !== "")
      throw new EastingError("EASTING_CONFIG", `conv: ${wanted.reason}`, "or choose auto, fused or dense");
    native.useLibraries?.(algorithm === "cusparse");
  }
  for (const layer of model.modules().values()) if (layer instanceof Conv2d) layer.algorithm = algorithm;
}
