#!/usr/bin/env bash
# Makes build/test-venv with the Python packages that exported files are read with, for tests.
# Exits 3, after one sentence, where they cannot be installed: those tests are then skipped.
set -u
cd "$(dirname "$0")/../.."
venv=build/test-venv
log=build/test-venv.log
mkdir -p build
exec 9>build/test-venv.lock
flock 9

ready() { "$venv/bin/python" -c "import numpy, onnx, onnxruntime, safetensors" >>"$log" 2>&1; }
: >"$log"
if ready || { python3 -m venv "$venv" >>"$log" 2>&1 &&
  "$venv/bin/pip" install --quiet --retries 0 numpy onnx onnxruntime safetensors >>"$log" 2>&1 && ready; }; then
  exit 0
fi
echo "numpy, onnx, onnxruntime and safetensors could not be installed here (see $log)."
exit 3
