#!/usr/bin/env bash
# Makes build/test-venv with the Python packages given, for tests that read exported files with them.
# Exits 3, after one sentence, where they cannot be installed: those tests are then skipped.
set -u
cd "$(dirname "$0")/../.."
venv=build/test-venv
log=build/test-venv.log
mkdir -p build
exec 9>build/test-venv.lock
flock 9

modules=$(IFS=,; echo "$*")
ready() { "$venv/bin/python" -c "import $modules" >>"$log" 2>&1; }
: >"$log"
if ready || { { [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"; } >>"$log" 2>&1 &&
  "$venv/bin/pip" install --quiet --retries 0 "$@" >>"$log" 2>&1 && ready; }; then
  exit 0
fi
echo "$* could not be installed here (see $log)."
exit 3
