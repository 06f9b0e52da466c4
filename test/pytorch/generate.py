"""Writes fixture.json beside this file: what PyTorch computes for the cases below. Run it after `bench/peers/setup.sh`:

    build/peers-venv/bin/python test/pytorch/generate.py && npx biome format --write test/pytorch/fixture.json

Inputs come from one formula, so that a test makes them again instead of reading them. For tensor number `t`, flat index `f`:

    hash32(x):  x ^= x>>>16; x *= 0x7feb352d; x ^= x>>>15; x *= 0x846ca68b; x ^= x>>>16       (mod 2^32)
    h(t, f)  =  hash32(t·0x9E3779B1 + f  mod 2^32)
    u(t, f)  =  h(t, f) / 2^32                                   in [0, 1)
    signed   =  2u − 1                                           in [−1, 1)

All of it is computed in float64 and rounded once to float32 where a case runs in float32. `formula.hash32` and `formula.u` hold
a few values to check an implementation by.

Order and shapes: activations are [n][c][h][w], weights [o][i][kh][kw] and [o][i]; "flat" always counts in these orders, row by row.
Every array of numbers is {"shape": [...], "data": [...]}, float64 unless said otherwise. Names in the file:

formula       {hash32: [[x, hash32(x)]], u: [[t, f, u(t, f)]]}
resnet34      ResNet-34 for 32×32 images, 10 classes, fc without bias, BatchNorm in training mode, batch 4, one forward and backward.
              density 0.05. Parameter t counts from 0: stem conv, stem bn weight, stem bn bias, then per block conv1, bn1 weight,
              bn1 bias, conv2, bn2 weight, bn2 bias[, shortcut conv, shortcut bn weight, shortcut bn bias], last fc.
              conv and fc weights: signed(t, f) / sqrt(fan_in), fan_in = i·kh·kw of the dense shape; entry f is kept when
              hash32(h(t, f) ^ 0xA5A5A5A5) % 1000 < 1000·density, and is 0 otherwise. bn weight 0.5 + u; bn bias 0.2·signed.
              Image: 2·signed(1000, f) as [4][3][32][32]; label of image n: n % 10. Loss: mean cross-entropy.
              {density, batch, classes, imageTensor, parameters: [{t, name, shape, kept, ...}], f64: Run, f32: Run}
              Run: {loss, lossSmoothed (label smoothing 0.1), logits [4][10], runningMean2 and runningVar2: L2 norms of the running
              statistics after the step by BatchNorm in the order above, gradients: one per parameter, in order:
              {norm: L2 over kept entries, denseNorm: L2 over all entries, samples: up to 5 [flat index, value] of kept entries}}.
              For bn parameters every entry is kept.
batchNorm     5 channels, batch 3, 4×4, eps 1e-5, momentum 0.1. weight 0.5 + u(2010, f), bias 0.2·signed(2011, f); three training
              forwards with x_s = (2 + s)·signed(2000 + s, f) + 0.3, s = 0, 1, 2. {y: of s = 0, runningMean, runningVar: [after each s],
              evaluation: y of x_0 in evaluation mode after all three, dx, dweight, dbias: gradients of step s = 0 for
              dy = signed(2020, f)}
optimizer     {initial: 8 numbers, gradients: 3 × 8, cases: {name: {rule, options, parameters: 3 × 8 after each step}}};
              initial = signed(3000, f), gradient of step s = signed(3001 + s, f). Options carry PyTorch's names.
dyrelu        DyReLU-B, 8 channels, batch 2, 3×3, reduction 4: θ = fc2(relu(fc1(mean of x over h, w))), read as [n][c][a1 a2 b1 b2];
              [a1 a2 b1 b2] = [1 0 0 0] + [1 1 .5 .5]·(2σ(θ) − 1); D = max(a1·x + b1, a2·x + b2).
              x = 2·signed(4000, f); fc1 weight [2][8] 2·signed(4001, f), bias [2] .5 + .5·signed(4002, f); fc2 weight [32][2]
              2·signed(4003, f), bias [32] signed(4004, f); dy = signed(4005, f).
              cases: {"coefficients-1", "coefficients-0.4", "outputs-0.4"} with {blend, beta, y, dx, dfc1Weight, dfc1Bias, dfc2Weight,
              dfc2Bias}. Blend "coefficients": a ← β·a + (1−β)·[1 0], b ← β·b, then the maximum; "outputs": β·D + (1−β)·relu(x).
convolution   [{name, stride, padding, tensors: {x, weight, dy}, xShape, weightShape, y, dx, dweight}]: without bias; x = signed(tensors.x, f),
              weight = signed(tensors.weight, f), dy = signed(tensors.dy, f).
pooling       [{name, kernel, stride, padding, tensors: {x, dy}, xShape, y, dx}]: name "max", "average" or "global average" (kernel 0:
              the whole plane, output [n][c][1][1]); x = signed(tensors.x, f), dy = signed(tensors.dy, f).
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "peers"))
sys.dont_write_bytecode = True

from networks import DyReLU, ResNet, two_lines  # noqa: E402

DENSITY = 0.05
MASK_KEY = 0xA5A5A5A5


def hash32(x: np.ndarray) -> np.ndarray:
    low = np.uint64(0xFFFFFFFF)
    x = x.astype(np.uint64) & low
    x ^= x >> np.uint64(16)
    x = x * np.uint64(0x7FEB352D) & low
    x ^= x >> np.uint64(15)
    x = x * np.uint64(0x846CA68B) & low
    return x ^ x >> np.uint64(16)


def hashes(t: int, count: int) -> np.ndarray:
    start = np.uint64(t * 0x9E3779B1 & 0xFFFFFFFF)
    return hash32(start + np.arange(count, dtype=np.uint64))


def uniform(t: int, *shape: int) -> Tensor:
    return torch.from_numpy(hashes(t, math.prod(shape)).astype(np.float64) / 2**32).reshape(shape)


def signed(t: int, *shape: int) -> Tensor:
    return 2 * uniform(t, *shape) - 1


def kept(t: int, count: int) -> np.ndarray:
    return hash32(hashes(t, count) ^ np.uint64(MASK_KEY)) % np.uint64(1000) < 1000 * DENSITY


def array(x: Tensor) -> dict:
    return {"shape": list(x.shape), "data": x.detach().double().flatten().tolist()}


def formula() -> dict:
    xs = np.array([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xDEADBEEF, 0xFFFFFFFF], dtype=np.uint64)
    spots = [(0, 0), (0, 1), (1, 0), (107, 2_359_295), (1000, 12_287), (4005, 3)]
    return {
        "hash32": [[int(x), int(y)] for x, y in zip(xs, hash32(xs))],
        "u": [[t, f, int(hashes(t, f + 1)[f]) / 2**32] for t, f in spots],
    }


def resnet34() -> dict:
    model = ResNet(34)
    names = [name for name, _ in model.named_parameters()]
    values, masks = [], []
    for t, (_, parameter) in enumerate(model.named_parameters()):
        shape = tuple(parameter.shape)
        mask = torch.ones(shape, dtype=torch.bool)
        if len(shape) > 1:
            mask = torch.from_numpy(kept(t, parameter.numel())).reshape(shape)
            value = signed(t, *shape) / math.sqrt(math.prod(shape[1:])) * mask
        else:
            value = 0.5 + uniform(t, *shape) if names[t].endswith("weight") else 0.2 * signed(t, *shape)
        values.append(value)
        masks.append(mask)

    image = 2 * signed(1000, 4, 3, 32, 32)
    labels = torch.arange(4) % 10

    def run(dtype: torch.dtype) -> dict:
        net = ResNet(34).to(dtype).train()
        with torch.no_grad():
            for parameter, value in zip(net.parameters(), values):
                parameter.copy_(value)
        logits = net(image.to(dtype))
        loss = F.cross_entropy(logits, labels)
        smoothed = F.cross_entropy(logits, labels, label_smoothing=0.1)
        loss.backward()
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        gradients = []
        for parameter, mask in zip(net.parameters(), masks):
            gradient = parameter.grad.double()
            indices = mask.flatten().nonzero().flatten()
            picks = indices[torch.linspace(0, len(indices) - 1, min(5, len(indices)), dtype=torch.float64).floor().long()]
            gradients.append(
                {
                    "norm": (gradient * mask).norm().item(),
                    "denseNorm": gradient.norm().item(),
                    "samples": [[i, gradient.flatten()[i].item()] for i in picks.tolist()],
                }
            )
        return {
            "loss": loss.item(),
            "lossSmoothed": smoothed.item(),
            "logits": array(logits),
            "runningMean2": [norm.running_mean.double().norm().item() for norm in norms],
            "runningVar2": [norm.running_var.double().norm().item() for norm in norms],
            "gradients": gradients,
        }

    return {
        "density": DENSITY,
        "batch": 4,
        "classes": 10,
        "imageTensor": 1000,
        "parameters": [
            {"t": t, "name": name, "shape": list(mask.shape), "kept": int(mask.sum())}
            for t, (name, mask) in enumerate(zip(names, masks))
        ],
        "f64": run(torch.float64),
        "f32": run(torch.float32),
    }


def batch_norm() -> dict:
    shape = (3, 5, 4, 4)
    norm = nn.BatchNorm2d(5, eps=1e-5, momentum=0.1, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(0.5 + uniform(2010, 5))
        norm.bias.copy_(0.2 * signed(2011, 5))
    inputs = [(2 + s) * signed(2000 + s, *shape) + 0.3 for s in range(3)]
    first = inputs[0].clone().requires_grad_()
    means, variances = [], []
    for s in range(3):
        y = norm(first if s == 0 else inputs[s])
        if s == 0:
            output = y
            y.backward(signed(2020, *shape))
        means.append(array(norm.running_mean))
        variances.append(array(norm.running_var))
    norm.eval()
    return {
        "y": array(output),
        "runningMean": means,
        "runningVar": variances,
        "evaluation": array(norm(inputs[0])),
        "dx": array(first.grad),
        "dweight": array(norm.weight.grad),
        "dbias": array(norm.bias.grad),
    }


def optimizer() -> dict:
    initial = signed(3000, 8)
    gradients = [signed(3001 + s, 8) for s in range(3)]
    rules = {
        "sgd-nesterov": ("sgd", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)),
        "sgd-momentum": ("sgd", dict(lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4)),
        "adam": ("adam", dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)),
        "adam-decay": ("adam", dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=5e-4)),
    }
    cases = {}
    for name, (rule, options) in rules.items():
        parameter = nn.Parameter(initial.clone())
        made = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[rule]([parameter], **options)
        after = []
        for gradient in gradients:
            parameter.grad = gradient.clone()
            made.step()
            after.append(parameter.tolist())
        cases[name] = {"rule": rule, "options": options, "parameters": after}
    return {"initial": initial.tolist(), "gradients": [g.tolist() for g in gradients], "cases": cases}


def dyrelu() -> dict:
    def run(blend: str, beta: float) -> dict:
        site = DyReLU(8).double()
        with torch.no_grad():
            site.fc1.weight.copy_(2 * signed(4001, 2, 8))
            site.fc1.bias.copy_(0.5 + 0.5 * signed(4002, 2))
            site.fc2.weight.copy_(2 * signed(4003, 32, 2))
            site.fc2.bias.copy_(signed(4004, 32))
        x = (2 * signed(4000, 2, 8, 3, 3)).requires_grad_()
        hidden = site.fc1(x.mean((2, 3)))
        assert (hidden > 0).any() and (hidden < 0).any(), "the hidden ReLU should pass some units and stop others"
        coefficients = site.coefficients(x)
        if blend == "coefficients":
            y = two_lines(x, beta * coefficients + (1 - beta) * torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64))
        else:
            y = beta * two_lines(x, coefficients) + (1 - beta) * F.relu(x)
        y.backward(signed(4005, 2, 8, 3, 3))
        return {
            "blend": blend,
            "beta": beta,
            "y": array(y),
            "dx": array(x.grad),
            "dfc1Weight": array(site.fc1.weight.grad),
            "dfc1Bias": array(site.fc1.bias.grad),
            "dfc2Weight": array(site.fc2.weight.grad),
            "dfc2Bias": array(site.fc2.bias.grad),
        }

    chosen = [("coefficients", 1), ("coefficients", 0.4), ("outputs", 0.4)]
    return {"cases": {f"{blend}-{beta}": run(blend, beta) for blend, beta in chosen}}


def convolution() -> list[dict]:
    cases = [
        ("3x3 stride 2", (2, 3, 7, 7), (4, 3, 3, 3), 2, 1, 5000),
        ("7x7 stride 2", (2, 3, 9, 9), (4, 3, 7, 7), 2, 3, 5010),
    ]
    made = []
    for name, x_shape, weight_shape, stride, padding, t in cases:
        x = signed(t, *x_shape).requires_grad_()
        weight = signed(t + 1, *weight_shape).requires_grad_()
        y = F.conv2d(x, weight, stride=stride, padding=padding)
        y.backward(signed(t + 2, *y.shape))
        made.append(
            {
                "name": name,
                "stride": stride,
                "padding": padding,
                "tensors": {"x": t, "weight": t + 1, "dy": t + 2},
                "xShape": list(x_shape),
                "weightShape": list(weight_shape),
                "y": array(y),
                "dx": array(x.grad),
                "dweight": array(weight.grad),
            }
        )
    return made


def pooling() -> list[dict]:
    cases = [
        ("max", 3, 2, 1, (2, 3, 9, 9), 6000, lambda x: F.max_pool2d(x, 3, 2, 1)),
        ("max", 3, 2, 1, (2, 3, 8, 8), 6010, lambda x: F.max_pool2d(x, 3, 2, 1)),
        ("average", 2, 2, 0, (2, 3, 6, 6), 6020, lambda x: F.avg_pool2d(x, 2)),
        ("global average", 0, 1, 0, (2, 5, 4, 4), 6030, lambda x: F.adaptive_avg_pool2d(x, 1)),
    ]
    made = []
    for name, kernel, stride, padding, shape, t, pool in cases:
        x = signed(t, *shape).requires_grad_()
        y = pool(x)
        y.backward(signed(t + 1, *y.shape))
        made.append(
            {
                "name": name,
                "kernel": kernel,
                "stride": stride,
                "padding": padding,
                "tensors": {"x": t, "dy": t + 1},
                "xShape": list(shape),
                "y": array(y),
                "dx": array(x.grad),
            }
        )
    return made


def main() -> None:
    torch.set_num_threads(1)
    fixture = {
        "torch": torch.__version__,
        "formula": formula(),
        "resnet34": resnet34(),
        "batchNorm": batch_norm(),
        "optimizer": optimizer(),
        "dyrelu": dyrelu(),
        "convolution": convolution(),
        "pooling": pooling(),
    }
    path = Path(__file__).with_name("fixture.json")
    path.write_text(json.dumps(fixture) + "\n", encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
