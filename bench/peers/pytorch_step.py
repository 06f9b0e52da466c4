"""Times PyTorch's masked-dense training step of a CIFAR ResNet: forward, backward, SGD with Nesterov momentum, masks.

Prints {"ready": ...} on one line after the warm-up, then reads commands from standard input, so that a caller can take turns
between contestants: "step" runs one step (--repeat of them) and prints {"ms", "cpuMs", "loss"} (mean wall time of a step; processor
time of all threads); "quit", or the end of the input, prints {"peakRssBytes", "peakDeviceBytes"} and ends. With --steps K it runs K steps by itself instead of reading commands.
The images are one batch of random numbers that stays in memory: no loading, no augmentation, no clipping.
PyTorch gets its fast settings: fused optimizer, denormals flushed to zero, channels_last and bf16 autocast on request; on a
GPU TF32, cuDNN's choice by measurement, and the whole step in a CUDA graph on request.
"""

import argparse
import json
import math
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

sys.dont_write_bytecode = True
from networks import ResNet  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=["resnet34", "resnet50"], default="resnet34")
    parser.add_argument("--sparsity", type=float, default=0.9995, help="share of the network's weights that are absent")
    parser.add_argument("--config", choices=["dense", "rigl", "east", "east-dyrelu"], default="rigl",
                        help="dense: ReLU, no masks; rigl: ReLU; east: ReLU and weight sharing; "
                        "east-dyrelu: DyReLU and weight sharing")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0, help="steps to run without reading commands")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the first timed one")
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
    parser.add_argument("--layout", choices=["channels_last", "contiguous"], default="channels_last")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--graph", action="store_true", help="replay the step as a CUDA graph")
    parser.add_argument("--repeat", type=int, default=1, help="steps of one command")
    parser.add_argument("--rss", action="store_true", help="also print the resident bytes after every step")
    return parser.parse_args()


def masks(model: ResNet, full: int, sparsity: float) -> list[torch.Tensor]:
    """Random masks, Erdős–Rényi-Kernel without redistribution; stored weights are (1 − sparsity) of the unshared network's."""
    weights = model.maskable()
    epsilon = (1 - sparsity) * full / sum(sum(w.shape) for w in weights)
    made = []
    for w in weights:
        kept = min(max(round(epsilon * sum(w.shape)), 1), w.numel())
        flat = torch.zeros(w.numel())
        flat[torch.randperm(w.numel())[:kept]] = 1
        made.append(torch.empty_like(w.data).copy_(flat.view(w.shape)))  # in the weight's own memory format
    return made


class Step:
    def __init__(self, options: argparse.Namespace):
        torch.manual_seed(0)
        depth = int(options.net.removeprefix("resnet"))
        sharing = options.config in ("east", "east-dyrelu")
        self.full = sum(w.numel() for w in ResNet(depth).maskable())
        self.device = options.device
        self.model = ResNet(depth, sharing=sharing, dyrelu=options.config == "east-dyrelu").to(self.device)
        self.x = torch.randn(options.batch, 3, 32, 32).to(self.device)
        self.labels = torch.randint(10, (options.batch,)).to(self.device)
        if options.layout == "channels_last":
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.to(memory_format=torch.channels_last)
        self.bf16 = options.precision == "bf16"
        self.weights: list[nn.Parameter] = self.model.maskable()
        self.masked = options.config != "dense"
        self.masks = masks(self.model, self.full, options.sparsity) if self.masked else []
        self.apply_masks([w.data for w in self.weights])
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True
        )

    def apply_masks(self, tensors: list[torch.Tensor]) -> None:
        if self.masked:
            torch._foreach_mul_(tensors, self.masks)

    def counts(self) -> dict:
        """Weights of the network (a shared one at each use), of its tensors, and those that the masks keep."""
        owned = sum(w.numel() for w in self.weights)
        stored = int(sum(mask.sum().item() for mask in self.masks)) if self.masked else owned
        return {"fullWeights": self.full, "ownedWeights": owned, "storedWeights": stored}

    def after_zero_grad(self) -> torch.Tensor:
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.bf16):
            logits = self.model(self.x)
        loss = F.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        self.apply_masks([w.data for w in self.weights])
        self.apply_masks([self.optimizer.state[w]["momentum_buffer"] for w in self.weights])
        return loss.detach()

    def __call__(self) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        return self.after_zero_grad()


class Replayed:
    """The step as one CUDA graph. Its warm-up and capture run on a side stream, as capture demands."""

    def __init__(self, step: Step, warmup: int):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(max(warmup, 3)):
                step()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        # Without gradients before it, the captured backward writes them anew in the graph's own memory at each replay.
        step.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self.loss = step.after_zero_grad()

    def __call__(self) -> torch.Tensor:
        self.graph.replay()
        return self.loss


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def say(record: dict) -> None:
    print(json.dumps(record), flush=True)


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    gpu = options.device == "cuda"
    if gpu:
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.precision != "fp32"
    prepared = Step(options)
    step = Replayed(prepared, options.warmup) if options.graph else prepared
    for _ in range(options.warmup):
        step()
    if gpu:
        torch.cuda.synchronize()
    say({"ready": True, "torch": torch.__version__, **prepared.counts(), **vars(options)})

    commands = ["step\n"] * options.steps if options.steps > 0 else sys.stdin
    for line in commands:
        command = line.strip()
        if command == "quit":
            break
        if command != "step":
            say({"error": f'expected "step" or "quit", got "{command}"'})
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(options.repeat):
            last = step()
        if gpu:
            torch.cuda.synchronize()
        loss = last.item()
        milliseconds = 1e3 / options.repeat
        record = {"ms": (time.perf_counter() - wall) * milliseconds, "cpuMs": (time.process_time() - cpu) * milliseconds}
        record["loss"] = loss if math.isfinite(loss) else None
        say({**record, "rssBytes": resident_bytes()} if options.rss else record)
    say({"peakRssBytes": peak_bytes(), "peakDeviceBytes": torch.cuda.max_memory_allocated() if gpu else 0})


if __name__ == "__main__":
    main()
