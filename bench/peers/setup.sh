#!/usr/bin/env bash
# Makes build/peers-venv with PyTorch for the comparisons in bench/peers.
# Exits 3, after one sentence, where PyTorch cannot be installed: the comparison is then left out, not failed.
set -u
cd "$(dirname "$0")/../.."
venv=build/peers-venv
log=build/peers-setup.log
version=2.13.0
mkdir -p build

ready() { "$venv/bin/python" -c "import numpy, torch" >>"$log" 2>&1; }
install() { "$venv/bin/pip" install --quiet --retries 0 "$1" numpy >>"$log" 2>&1; }

: >"$log"
if ready; then
  echo "PyTorch is ready in $venv."
  exit 0
fi
# The processor-only build where the index offers it, else the ordinary one.
if python3 -m venv "$venv" >>"$log" 2>&1 && { install "torch==$version+cpu" || install "torch==$version"; } && ready; then
  echo "PyTorch $version is installed in $venv."
  exit 0
fi
echo "PyTorch $version could not be installed here, so the comparison with it is skipped (see $log)."
exit 3
