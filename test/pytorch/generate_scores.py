"""Writes scores.json beside this file: what PyTorch, in float64, computes for the scores of untrained networks. Run it as generate.py:

    build/peers-venv/bin/python test/pytorch/generate_scores.py && npx biome format --write test/pytorch/scores.json

The network is SmallNetwork of test/sparse/small-network.ts; inputs come from generate.py's formula. Weight tensor t (stem, conv1, conv2,
projection, fc): signed(7000 + t, f) / sqrt(fan_in); 6 images [6][1][8][8]: signed(7100, f), rounded to float32; label of image n: n % 10.
`masked` scores are of the network that is left where kept(7000 + t, f) says so, at 30 %. Of each score the file has, per tensor, the sum
over all entries and every 11th entry, in the order of the weights:

synflow, synflowMasked   w · dR/dw with all numbers positive, R the sum of the logits of an all-ones image, BatchNorm in evaluation mode
snip                     |w · dL/dw|, L the mean cross-entropy, BatchNorm in evaluation mode
grasp                    w · Hg, signed, by double backward, logits divided by 200, evaluation mode
iterSnip                 |w · dL/dw| of the masked network, BatchNorm by the batch
force                    |w · dL/dw|, w of the whole and L of the masked network, BatchNorm by the batch
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import generate
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPES = [(8, 1, 3, 3), (16, 8, 3, 3), (16, 16, 3, 3), (16, 8, 1, 1), (10, 16)]
CLASSES = 10


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(c, dtype=torch.float64) for c in (8, 16, 16, 16)])

    def forward(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        stem_weight, weight1, weight2, projection, fc = weights
        stem_norm, norm1, norm2, projection_norm = self.norms
        stem = F.relu(stem_norm(F.conv2d(x, stem_weight, padding=1)))
        inner = F.relu(norm1(F.conv2d(stem, weight1, stride=2, padding=1)))
        branch = norm2(F.conv2d(inner, weight2, padding=1))
        top = F.relu(branch + projection_norm(F.conv2d(stem, projection, stride=2)))
        return top.mean((2, 3)) @ fc.T


def gradients(value: Tensor, weights: list[Tensor], **options) -> list[Tensor]:
    return list(torch.autograd.grad(value, weights, **options))


def main() -> None:
    torch.set_num_threads(1)
    generate.DENSITY = 0.3
    dense = [
        generate.signed(7000 + t, *shape) / math.sqrt(math.prod(shape[1:])) for t, shape in enumerate(SHAPES)
    ]
    masks = [
        torch.from_numpy(generate.kept(7000 + t, math.prod(shape))).reshape(shape).double()
        for t, shape in enumerate(SHAPES)
    ]
    images = generate.signed(7100, 6, 1, 8, 8).float().double()
    labels = torch.arange(6) % CLASSES

    def trained(values: list[Tensor]) -> list[Tensor]:
        return [value.clone().requires_grad_() for value in values]

    def synflow(values: list[Tensor]) -> list[Tensor]:
        weights = trained([value.abs() for value in values])
        flow = Net().eval()(torch.ones(1, 1, 8, 8, dtype=torch.float64), weights).sum()
        return [w * g for w, g in zip(weights, gradients(flow, weights))]

    def loss_gradients(values: list[Tensor], training: bool) -> list[Tensor]:
        weights = trained(values)
        loss = F.cross_entropy(Net().train(training)(images, weights), labels)
        return gradients(loss, weights)

    def grasp() -> list[Tensor]:
        weights = trained(dense)
        first = gradients(F.cross_entropy(Net().eval()(images, weights) / 200, labels), weights, create_graph=True)
        product = sum((g * g.detach()).sum() for g in first)
        return [w * h for w, h in zip(weights, gradients(product, weights))]

    left = [w * m for w, m in zip(dense, masks)]
    scores = {
        "synflow": synflow(dense),
        "synflowMasked": synflow(left),
        "snip": [(w * g).abs() for w, g in zip(dense, loss_gradients(dense, False))],
        "grasp": grasp(),
        "iterSnip": [(w * g).abs() for w, g in zip(left, loss_gradients(left, True))],
        "force": [(w * g).abs() for w, g in zip(dense, loss_gradients(left, True))],
    }
    file = {
        name: [{"sum": s.sum().item(), "every11th": s.detach().flatten()[::11].tolist()} for s in tensors]
        for name, tensors in scores.items()
    }
    path = Path(__file__).with_name("scores.json")
    path.write_text(json.dumps(file) + "\n", encoding="utf-8")
    print(f"{path.relative_to(generate.ROOT)}: {path.stat().st_size} bytes, {int(np.sum([m.sum() for m in masks]))} kept")


if __name__ == "__main__":
    main()
