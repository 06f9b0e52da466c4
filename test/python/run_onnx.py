"""Checks ONNX models and runs them: run_onnx.py FOLDER, with <name>.onnx and <name>.f32 (images) in it.

Prints one line of JSON: for each name the logits and what the model says of itself.
"""
import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=not model.graph.sparse_initializer)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    images = numpy.fromfile(path.with_suffix(".f32"), numpy.float32).reshape(-1, *image.shape[1:])
    (logits,) = session.run(None, {image.name: images})
    found[path.stem] = {
        "logits": logits.tolist(),
        "classes": session.get_modelmeta().custom_metadata_map["classes"],
        "sparse": len(model.graph.sparse_initializer),
        "opset": model.opset_import[0].version,
    }
print(json.dumps(found))
