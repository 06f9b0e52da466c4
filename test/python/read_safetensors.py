"""Reads a safetensors file with its own library: read_safetensors.py FILE [COPY].

Prints one line of JSON: metadata, and of each tensor its type, shape and sum. Writes the tensors to COPY, in f16.
"""
import json
import sys

import numpy
from safetensors import safe_open
from safetensors.numpy import save_file

with safe_open(sys.argv[1], framework="numpy") as file:
    tensors = {name: file.get_tensor(name) for name in file.keys()}
    metadata = file.metadata()
print(
    json.dumps(
        {
            "metadata": metadata,
            "tensors": {
                name: [str(tensor.dtype), list(tensor.shape), float(tensor.astype(numpy.float64).sum())]
                for name, tensor in tensors.items()
            },
        }
    )
)
if len(sys.argv) > 2:
    halves = {name: t if t.dtype == bool else t.astype(numpy.float16) for name, t in tensors.items()}
    halves["bn1.num_batches_tracked"] = numpy.array(7)
    save_file(halves, sys.argv[2])
