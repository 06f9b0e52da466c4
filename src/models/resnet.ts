import { expected } from "../errors.js";
import {
  type ActivationFactory,
  BatchNorm2d,
  Conv2d,
  type Conv2dOptions,
  GlobalAveragePool,
  Initializer,
  Linear,
  type LinearOptions,
  MaxPool,
  Module,
  ReLU,
} from "../nn/index.js";
import { add } from "../ops/index.js";
import type { Tensor } from "../tensor/index.js";

export interface NetworkOptions {
  readonly classes: number;
  /** Of the images; 3 by default. */
  readonly channels?: number;
  /** Whether the classifier has a bias; false by default. */
  readonly classifierBias?: boolean;
  /** Made behind every normalisation and every residual sum; ReLU by default. */
  readonly activation?: ActivationFactory;
  readonly init?: Initializer;
  /** What convolutions and the classifier are made of; ordinary ones without bias by default. */
  readonly layers?: LayerFactory;
}

export interface LayerFactory {
  convolution(inputs: number, outputs: number, options: Conv2dOptions): Module;
  linear(inputs: number, outputs: number, options: LinearOptions): Module;
}

const ordinary: LayerFactory = {
  convolution: (inputs, outputs, options) => new Conv2d(inputs, outputs, options),
  linear: (inputs, outputs, options) => new Linear(inputs, outputs, options),
};

/** What all blocks of a network are built with. */
interface Parts {
  readonly activation: ActivationFactory;
  readonly init: Initializer;
  readonly layers: LayerFactory;
}

/** Projection of a shortcut whose shape changes: 1×1 convolution and BatchNorm (option B of He et al., 2016). */
class Projection extends Module {
  readonly conv: Module;
  readonly norm: BatchNorm2d;

  constructor(inputs: number, outputs: number, stride: number, { init, layers }: Parts) {
    super();
    this.conv = layers.convolution(inputs, outputs, { kernel: 1, stride, init });
    this.norm = new BatchNorm2d(outputs);
  }
  forward(x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x));
  }
}

/** A residual block; its convolutions are `conv1`, `conv2` (and `conv3`), replaceable by ones that share weights. */
export abstract class ResidualBlock extends Module {
  abstract conv1: Module;
  abstract conv2: Module;
  abstract readonly shortcut: Module | null;
}

class BasicBlock extends ResidualBlock {
  static readonly expansion = 1;
  conv1: Module;
  readonly norm1: BatchNorm2d;
  readonly activation1: Module;
  conv2: Module;
  readonly norm2: BatchNorm2d;
  readonly shortcut: Module | null;
  readonly activation2: Module;

  constructor(inputs: number, planes: number, stride: number, parts: Parts) {
    super();
    const { activation, init, layers } = parts;
    this.conv1 = layers.convolution(inputs, planes, { kernel: 3, stride, init });
    this.norm1 = new BatchNorm2d(planes);
    this.activation1 = activation(planes);
    this.conv2 = layers.convolution(planes, planes, { kernel: 3, init });
    this.norm2 = new BatchNorm2d(planes);
    this.shortcut = stride !== 1 || inputs !== planes ? new Projection(inputs, planes, stride, parts) : null;
    this.activation2 = activation(planes);
  }
  forward(x: Tensor): Tensor {
    const inner = this.activation1.forward(this.norm1.forward(this.conv1.forward(x)));
    const branch = this.norm2.forward(this.conv2.forward(inner));
    return this.activation2.forward(add(branch, this.shortcut?.forward(x) ?? x));
  }
}

class Bottleneck extends ResidualBlock {
  static readonly expansion = 4;
  conv1: Module;
  readonly norm1: BatchNorm2d;
  readonly activation1: Module;
  conv2: Module;
  readonly norm2: BatchNorm2d;
  readonly activation2: Module;
  conv3: Module;
  readonly norm3: BatchNorm2d;
  readonly shortcut: Module | null;
  readonly activation3: Module;

  constructor(inputs: number, planes: number, stride: number, parts: Parts) {
    super();
    const { activation, init, layers } = parts;
    const outputs = planes * Bottleneck.expansion;
    this.conv1 = layers.convolution(inputs, planes, { kernel: 1, init });
    this.norm1 = new BatchNorm2d(planes);
    this.activation1 = activation(planes);
    this.conv2 = layers.convolution(planes, planes, { kernel: 3, stride, init });
    this.norm2 = new BatchNorm2d(planes);
    this.activation2 = activation(planes);
    this.conv3 = layers.convolution(planes, outputs, { kernel: 1, init });
    this.norm3 = new BatchNorm2d(outputs);
    this.shortcut = stride !== 1 || inputs !== outputs ? new Projection(inputs, outputs, stride, parts) : null;
    this.activation3 = activation(outputs);
  }
  forward(x: Tensor): Tensor {
    const narrow = this.activation1.forward(this.norm1.forward(this.conv1.forward(x)));
    const inner = this.activation2.forward(this.norm2.forward(this.conv2.forward(narrow)));
    const branch = this.norm3.forward(this.conv3.forward(inner));
    return this.activation3.forward(add(branch, this.shortcut?.forward(x) ?? x));
  }
}

interface Architecture {
  readonly block: "basic" | "bottleneck";
  /** Blocks per stage. */
  readonly depths: readonly number[];
  /** Planes of each stage. */
  readonly widths: readonly number[];
  /** `image`: 3×3 stem for 32×32 images; `imagenet`: 7×7/2 stem and max-pool. */
  readonly stem: "image" | "imagenet";
}

/** Residual network (He et al., 2016) on images `[channels, h, w, n]`, giving logits `[classes, n]`; no biases in convolutions. */
export class ResNet extends Module {
  readonly conv1: Module;
  readonly norm1: BatchNorm2d;
  readonly activation1: Module;
  readonly pool1: Module | null;
  readonly layer1: readonly ResidualBlock[];
  readonly layer2: readonly ResidualBlock[];
  readonly layer3: readonly ResidualBlock[];
  readonly layer4: readonly ResidualBlock[];
  readonly pool = new GlobalAveragePool();
  readonly fc: Module;

  constructor({ block, depths, widths, stem }: Architecture, options: NetworkOptions) {
    super();
    const {
      classes,
      channels = 3,
      classifierBias = false,
      activation = () => new ReLU(),
      init = new Initializer(),
      layers = ordinary,
    } = options;
    const parts = { activation, init, layers };
    if (!Number.isInteger(classes) || classes < 1) throw expected("resnet", "at least one class", classes);
    const Block = block === "basic" ? BasicBlock : Bottleneck;
    const [width] = widths;
    this.conv1 = layers.convolution(
      channels,
      width,
      stem === "image" ? { kernel: 3, init } : { kernel: 7, stride: 2, init },
    );
    this.norm1 = new BatchNorm2d(width);
    this.activation1 = activation(width);
    this.pool1 = stem === "image" ? null : new MaxPool({ kernel: 3, stride: 2, padding: 1 });
    let inputs = width;
    const stage = (index: number) =>
      Array.from({ length: depths[index] ?? 0 }, (_, i) => {
        const planes = widths[index];
        const made = new Block(inputs, planes, i === 0 && index > 0 ? 2 : 1, parts);
        inputs = planes * Block.expansion;
        return made;
      });
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
    this.fc = layers.linear(inputs, classes, { bias: classifierBias, init });
  }

  /** The blocks of each stage. */
  get stages(): readonly (readonly ResidualBlock[])[] {
    return [this.layer1, this.layer2, this.layer3, this.layer4].filter((blocks) => blocks.length > 0);
  }

  forward(x: Tensor): Tensor {
    let value = this.activation1.forward(this.norm1.forward(this.conv1.forward(x)));
    if (this.pool1) value = this.pool1.forward(value);
    value.materialize(); // read twice by the first block
    for (const blocks of this.stages) for (const block of blocks) value = block.forward(value);
    return this.fc.forward(this.pool.forward(value));
  }
}

const wide = [64, 128, 256, 512];
const narrow = [16, 32, 64];
const build = (architecture: Architecture) => (options: NetworkOptions) => new ResNet(architecture, options);

export const resnet20 = build({ block: "basic", depths: [3, 3, 3], widths: narrow, stem: "image" });
export const resnet32 = build({ block: "basic", depths: [5, 5, 5], widths: narrow, stem: "image" });
export const resnet56 = build({ block: "basic", depths: [9, 9, 9], widths: narrow, stem: "image" });
export const resnet18 = build({ block: "basic", depths: [2, 2, 2, 2], widths: wide, stem: "image" });
export const resnet34 = build({ block: "basic", depths: [3, 4, 6, 3], widths: wide, stem: "image" });
export const resnet50 = build({ block: "bottleneck", depths: [3, 4, 6, 3], widths: wide, stem: "image" });
export const resnet18ImageNet = build({ block: "basic", depths: [2, 2, 2, 2], widths: wide, stem: "imagenet" });
export const resnet34ImageNet = build({ block: "basic", depths: [3, 4, 6, 3], widths: wide, stem: "imagenet" });
export const resnet50ImageNet = build({ block: "bottleneck", depths: [3, 4, 6, 3], widths: wide, stem: "imagenet" });
