#!/usr/bin/env bash
# Runs each benchmark once, on what is installed in .venv. The last line is
# "N benchmarks run, N failed".
source "$(dirname "$0")/common.sh"

say 'Benchmarks, once each'
if [[ -x $VENV/bin/asv ]]; then
    # finds them, and says what it could not run
    "$VENV/bin/asv" check --environment "existing:$VENV/bin/python"
else
    say 'asv is not installed (requirements/bench.txt): the benchmarks run without it'
fi
"$VENV/bin/python" -m benchmarks.quick "$@"
