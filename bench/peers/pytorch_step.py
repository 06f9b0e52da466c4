"""Times PyTorch's masked-dense training step of a CIFAR ResNet: forward, backward, SGD with Nesterov momentum, masks.

Prints {"ready": ...} on one line after the warm-up, then reads commands from standard input, so that a caller can take turns
between contestants: "step" runs one step and prints {"ms", "cpuMs", "loss"} (wall time; processor time of all threads); "quit",
or the end of the input, prints {"peakRssBytes"} and ends. With --steps K it runs K steps by itself instead of reading commands.
The images are one batch of random numbers that stays in memory: no loading, no augmentation, no clipping.
PyTorch gets its fast settings: fused optimizer, denormals flushed to zero, channels_last and bf16 autocast on request.
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
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--layout", choices=["channels_last", "contiguous"], default="channels_last")
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
        self.model = ResNet(depth, sharing=sharing, dyrelu=options.config == "east-dyrelu")
        self.x = torch.randn(options.batch, 3, 32, 32)
        self.labels = torch.randint(10, (options.batch,))
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

    def __call__(self) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            logits = self.model(self.x)
        loss = F.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        self.apply_masks([w.data for w in self.weights])
        self.apply_masks([self.optimizer.state[w]["momentum_buffer"] for w in self.weights])
        return loss.item()


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
    step = Step(options)
    for _ in range(options.warmup):
        step()
    say({"ready": True, "torch": torch.__version__, **step.counts(), **vars(options)})

    commands = ["step\n"] * options.steps if options.steps > 0 else sys.stdin
    for line in commands:
        command = line.strip()
        if command == "quit":
            break
        if command != "step":
            say({"error": f'expected "step" or "quit", got "{command}"'})
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        loss = step()
        record = {"ms": (time.perf_counter() - wall) * 1e3, "cpuMs": (time.process_time() - cpu) * 1e3}
        record["loss"] = loss if math.isfinite(loss) else None
        say({**record, "rssBytes": resident_bytes()} if options.rss else record)
    say({"peakRssBytes": peak_bytes()})


if __name__ == "__main__":
    main()
