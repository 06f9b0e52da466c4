#!/usr/bin/env bash
# Makes build/inference-venv with ONNX Runtime for the comparison in bench/inference.
# Exits 3, after one sentence, where it cannot be installed: the comparison is then left out, not failed.
set -u
cd "$(dirname "$0")/../.."
venv=build/inference-venv
log=build/inference-setup.log
mkdir -p build

ready() { "$venv/bin/python" -c "import numpy, onnx, onnxruntime" >>"$log" 2>&1; }
: >"$log"
if ready || { python3 -m venv "$venv" >>"$log" 2>&1 &&
  "$venv/bin/pip" install --quiet --retries 0 numpy onnx onnxruntime >>"$log" 2>&1 && ready; }; then
  exit 0
fi
echo "ONNX Runtime could not be installed here, so the comparison with it is skipped (see $log)."
exit 3
