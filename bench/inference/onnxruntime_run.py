"""Times ONNX Runtime on the dense twin of a network: the same ResNet with all of its weights, BatchNorm folded.

Prints {"ready": ...} on one line after a warm-up, then reads commands from standard input: "step" runs batches for a while and
prints {"ms", "minMs", "cpuMs"} of one batch (median, fastest, processor time of all threads on average); "quit", or the end of
the input, prints {"peakRssBytes"} and ends. Weights are random: the time of dense operators does not depend on them.
"""

import argparse
import json
import resource
import statistics
import sys
import time

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

DEPTHS = {"resnet34": ("basic", (3, 4, 6, 3)), "resnet50": ("bottleneck", (3, 4, 6, 3))}


class Dense:
    """A ResNet as an ONNX graph, built layer by layer."""

    def __init__(self, model: str, side: int, classes: int):
        self.random = numpy.random.default_rng(1)
        self.nodes, self.initializers, self.macs = [], [], 0
        block, depths = DEPTHS[model.removesuffix("-imagenet")]
        imagenet = model.endswith("-imagenet")
        x, channels, size = "image", 3, side
        x, channels, size = self.conv(x, channels, 64, size, *((7, 2) if imagenet else (3, 1)), relu=True)
        if imagenet:
            x, size = self.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), (size + 1) // 2
        for stage, depth in enumerate(depths):
            for i in range(depth):
                x, channels, size = self.block(block, x, channels, 64 << stage, size, 2 if stage > 0 and i == 0 else 1)
        x = self.add("Flatten", [self.add("GlobalAveragePool", [x])])
        weight = self.weight((classes, channels), channels)
        self.nodes.append(helper.make_node("Gemm", [x, weight, self.weight((classes,), 1e4)], ["logits"], transB=1))
        self.macs += classes * channels
        batch = ["N", 3, side, side]
        graph = helper.make_graph(self.nodes, model, [helper.make_tensor_value_info("image", TensorProto.FLOAT, batch)],
                                  [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
                                  self.initializers)
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(self.model)

    def add(self, op: str, inputs: list[str], **attributes) -> str:
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def weight(self, shape: tuple[int, ...], fan_in: float) -> str:
        name = f"weight{len(self.initializers)}"
        values = self.random.normal(0, (2 / fan_in) ** 0.5, shape).astype(numpy.float32)
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x: str, inputs: int, outputs: int, size: int, kernel: int, stride: int, relu: bool):
        weight = self.weight((outputs, inputs, kernel, kernel), inputs * kernel * kernel)
        out = (size - 1) // stride + 1
        self.macs += outputs * inputs * kernel * kernel * out * out
        y = self.add("Conv", [x, weight, self.weight((outputs,), 1e4)], kernel_shape=[kernel] * 2,
                     strides=[stride] * 2, pads=[kernel // 2] * 4)
        return (self.add("Relu", [y]) if relu else y), outputs, out

    def block(self, kind: str, x: str, inputs: int, planes: int, size: int, stride: int):
        outputs = planes * (4 if kind == "bottleneck" else 1)
        layers = [(planes, 1, 1), (planes, 3, stride), (outputs, 1, 1)] if kind == "bottleneck" else [
            (planes, 3, stride), (planes, 3, 1)]
        y, channels, extent = x, inputs, size
        for i, (width, kernel, step) in enumerate(layers):
            y, channels, extent = self.conv(y, channels, width, extent, kernel, step, relu=i + 1 < len(layers))
        shortcut = x if stride == 1 and inputs == outputs else self.conv(x, inputs, outputs, size, 1, stride, False)[0]
        return self.add("Relu", [self.add("Add", [y, shortcut])]), outputs, extent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a step runs batches")
    options = parser.parse_args()
    dense = Dense(options.model, options.side, options.classes)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(dense.model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    shape = (options.batch, 3, options.side, options.side)
    images = numpy.random.default_rng(2).normal(size=shape).astype(numpy.float32)
    for _ in range(3):
        session.run(None, {"image": images})
    print(json.dumps({"ready": onnxruntime.__version__, "macs": dense.macs}), flush=True)
    for command in sys.stdin:
        if command.strip() == "quit":
            break
        times, cpu, begin = [], time.process_time(), time.perf_counter()
        while len(times) < 3 or time.perf_counter() - begin < options.seconds:
            start = time.perf_counter()
            session.run(None, {"image": images})
            times.append((time.perf_counter() - start) * 1e3)
        cpu = (time.process_time() - cpu) * 1e3 / len(times)
        print(json.dumps({"ms": statistics.median(times), "minMs": min(times), "cpuMs": cpu}), flush=True)
    print(json.dumps({"peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)


main()
