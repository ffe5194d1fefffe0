#!/usr/bin/env bash
# Runs each benchmark once on the installed build. For numbers worth keeping use asv
# itself, which builds each commit in an environment of its own: `.venv/bin/asv run`.
source "$(dirname "$0")/common.sh"

"$VENV/bin/asv" machine --yes >/dev/null
"$VENV/bin/asv" run --environment "existing:$VENV/bin/python" --quick --show-stderr "$@"
