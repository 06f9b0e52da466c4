"""Reads an event file with TensorBoard's own reader: read_tensorboard.py FILE.

Prints one line of JSON: scalars and histograms by tag, as lists of [wall time, step, value].
"""
import json
import sys

from tensorboard.backend.event_processing import event_accumulator

board = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0}).Reload()
tags = board.Tags()
scalars = {tag: [[e.wall_time, e.step, e.value] for e in board.Scalars(tag)] for tag in tags["scalars"]}


def fields(h):
    return {
        "min": h.min, "max": h.max, "num": h.num, "sum": h.sum, "sumSquares": h.sum_squares,
        "limits": list(h.bucket_limit), "counts": list(h.bucket),
    }  # fmt: skip


histograms = {
    tag: [[e.wall_time, e.step, fields(e.histogram_value)] for e in board.Histograms(tag)] for tag in tags["histograms"]
}
print(json.dumps({"scalars": scalars, "histograms": histograms}))
