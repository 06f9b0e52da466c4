#!/usr/bin/env bash
# Makes build/peers-venv with PyTorch for the comparisons in bench/peers; `setup.sh peers-venv-cuda` another one with a
# PyTorch that can use a GPU.
# Exits 3, after one sentence, where PyTorch cannot be installed: the comparison is then left out, not failed.
set -u
cd "$(dirname "$0")/../.."
name=${1:-peers-venv}
venv=build/$name
log=build/peers-setup.log
version=2.13.0
mkdir -p build

works="import numpy, torch"
[ "$name" = peers-venv-cuda ] && works="$works; assert torch.cuda.is_available()"
ready() { "$venv/bin/python" -c "$works" >>"$log" 2>&1; }
install() { "$venv/bin/pip" install --quiet --retries 0 "$1" numpy >>"$log" 2>&1; }

: >"$log"
if ready; then
  echo "PyTorch is ready in $venv."
  exit 0
fi
# For the processor alone its own build where the index offers it, else the ordinary one.
smaller() { [ "$name" = peers-venv ] && install "torch==$version+cpu"; }
if python3 -m venv "$venv" >>"$log" 2>&1 && { smaller || install "torch==$version"; } && ready; then
  echo "PyTorch $version is installed in $venv."
  exit 0
fi
echo "PyTorch $version could not be installed here, so the comparison with it is skipped (see $log)."
exit 3
