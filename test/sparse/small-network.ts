import { BatchNorm2d, Conv2d, GlobalAveragePool, Initializer, Linear, Module, ReLU } from "../../src/nn/index.js";
import { add } from "../../src/ops/index.js";
import type { Tensor } from "../../src/tensor/index.js";

/** A stem, one residual block with a projection and a classifier: 72 + 1,152 + 2,304 + 128 + 160 = 3,816 prunable weights. */
export class SmallNetwork extends Module {
  readonly stem: Conv2d;
  readonly stemNorm = new BatchNorm2d(8);
  readonly conv1: Conv2d;
  readonly norm1 = new BatchNorm2d(16);
  readonly conv2: Conv2d;
  readonly norm2 = new BatchNorm2d(16);
  readonly projection: Conv2d;
  readonly projectionNorm = new BatchNorm2d(16);
  readonly relu = new ReLU();
  readonly pool = new GlobalAveragePool();
  readonly fc: Linear;

  constructor(seed = 1) {
    super();
    const init = new Initializer(seed);
    this.stem = new Conv2d(1, 8, { kernel: 3, init });
    this.conv1 = new Conv2d(8, 16, { kernel: 3, stride: 2, init });
    this.conv2 = new Conv2d(16, 16, { kernel: 3, init });
    this.projection = new Conv2d(8, 16, { kernel: 1, stride: 2, init });
    this.fc = new Linear(16, 10, { bias: false, init });
  }
  forward(x: Tensor): Tensor {
    const stem = this.relu.forward(this.stemNorm.forward(this.stem.forward(x)));
    stem.materialize();
    const inner = this.relu.forward(this.norm1.forward(this.conv1.forward(stem)));
    const branch = this.norm2.forward(this.conv2.forward(inner));
    const sum = add(branch, this.projectionNorm.forward(this.projection.forward(stem)));
    return this.fc.forward(this.pool.forward(this.relu.forward(sum)));
  }
}
