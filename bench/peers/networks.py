"""ResNet-34 and ResNet-50 for 32×32 images in PyTorch, with EAST's weight sharing and DyReLU as options.

Parameters are registered in the order stem conv, stem BatchNorm, then block by block conv1, bn1, conv2, bn2[, conv3, bn3]
[, shortcut conv, shortcut BatchNorm], fc; `named_parameters()` keeps it. Weights are dense; sparsity is a mask on them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # planes, blocks, stride of the first block


class DyReLU(nn.Module):
    """DyReLU-B (Chen et al., 2020) with two lines: y = max_k(a_k·x + b_k), coefficients from the mean of x over [h, w]."""

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // reduction)
        self.fc2 = nn.Linear(channels // reduction, 4 * channels)  # per channel a1 a2 b1 b2
        self.register_buffer("span", torch.tensor([1.0, 1.0, 0.5, 0.5]), persistent=False)
        self.register_buffer("origin", torch.tensor([1.0, 0.0, 0.0, 0.0]), persistent=False)

    def coefficients(self, x: Tensor) -> Tensor:
        """[n, c, 4]"""
        hidden = F.relu(self.fc1(x.mean((2, 3))))
        delta = 2 * torch.sigmoid(self.fc2(hidden)) - 1
        return delta.view(x.shape[0], x.shape[1], 4) * self.span + self.origin

    def forward(self, x: Tensor) -> Tensor:
        return two_lines(x, self.coefficients(x).to(x.dtype))  # under autocast the coefficients are wider than x


def two_lines(x: Tensor, coefficients: Tensor) -> Tensor:
    a1, a2, b1, b2 = (c[:, :, None, None] for c in coefficients.unbind(2))
    return torch.maximum(a1 * x + b1, a2 * x + b2)


class Shared(nn.Module):
    """A convolution with another convolution's weight, times a scalar of its own."""

    def __init__(self, owner: nn.Conv2d):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(()))
        self.owner = [owner]  # in a list, so that the weight stays registered once

    def forward(self, x: Tensor) -> Tensor:
        owner = self.owner[0]
        return F.conv2d(x, owner.weight * self.scale, stride=owner.stride, padding=owner.padding)


class Block(nn.Module):
    """Basic block (3×3, 3×3) or bottleneck (1×1, 3×3, 1×1 to four times the planes)."""

    def __init__(self, inputs: int, planes: int, stride: int, bottleneck: bool, dyrelu: bool, owner: "Block | None"):
        super().__init__()
        outputs = planes * 4 if bottleneck else planes
        # input channels, output channels, kernel, stride
        plan = (
            [(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, outputs, 1, 1)]
            if bottleneck
            else [(inputs, planes, 3, stride), (planes, planes, 3, 1)]
        )
        self.depth = len(plan)
        for index, (i, o, kernel, step) in enumerate(plan, start=1):
            conv = Shared(getattr(owner, f"conv{index}")) if owner else nn.Conv2d(i, o, kernel, step, kernel // 2, bias=False)
            setattr(self, f"conv{index}", conv)
            setattr(self, f"bn{index}", nn.BatchNorm2d(o))
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        for index in range(1, self.depth):
            setattr(self, f"act{index}", activation(planes, dyrelu))
        setattr(self, f"act{self.depth}", activation(outputs, dyrelu))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for index in range(1, self.depth + 1):
            y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
            if index == self.depth:
                y = y + self.shortcut(x)
            y = getattr(self, f"act{index}")(y)
        return y


class ResNet(nn.Module):
    """`sharing`: blocks 3 and on of a stage use block 2's convolution weights. The classifier has no bias."""

    def __init__(self, depth: int, classes: int = 10, sharing: bool = False, dyrelu: bool = False):
        super().__init__()
        bottleneck = {34: False, 50: True}[depth]
        self.stem = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(64)
        self.stem_act = activation(64, dyrelu)
        blocks: list[Block] = []
        channels = 64
        for planes, count, first_stride in STAGES:
            owner = None
            for index in range(count):
                stride = first_stride if index == 0 else 1
                blocks.append(Block(channels, planes, stride, bottleneck, dyrelu, owner))
                channels = planes * 4 if bottleneck else planes
                if sharing and index == 1:
                    owner = blocks[-1]
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem_act(self.stem_bn(self.stem(x)))).mean((2, 3)))

    def maskable(self) -> list[nn.Parameter]:
        """Every convolution weight and the classifier's; not DyReLU's linear layers."""
        convolutions = [module.weight for module in self.modules() if isinstance(module, nn.Conv2d)]
        return [*convolutions, self.fc.weight]


def activation(channels: int, dyrelu: bool) -> nn.Module:
    return DyReLU(channels) if dyrelu else nn.ReLU()
