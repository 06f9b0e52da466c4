import { batchNorm } from "../ops/index.js";
import { Tensor } from "../tensor/index.js";
import { constant } from "./initialize.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

/** Batch normalisation of `[channels, h, w, n]` (epsilon 1e-5, momentum 0.1, affine). */
export class BatchNorm2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: Tensor;
  readonly runningVariance: Tensor;

  constructor(channels: number) {
    super();
    this.weight = new Parameter([channels], constant(1));
    this.bias = new Parameter([channels], constant(0));
    this.runningMean = Tensor.zeros([channels]).keep();
    this.runningVariance = Tensor.full([channels], 1).keep();
  }
  forward(x: Tensor): Tensor {
    return batchNorm(x, this.weight.leaf, this.bias.leaf, this);
  }
}
