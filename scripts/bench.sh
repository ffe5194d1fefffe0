#!/usr/bin/env bash
# Runs each benchmark once: those of the Rust core, then those of the installed build.
# For numbers worth keeping use `cargo bench --package fusesg-sg`, which repeats until they
# are steady, and asv itself, which builds each commit in an environment of its own:
# `.venv/bin/asv run`.
source "$(dirname "$0")/common.sh"

say 'Rust benchmarks'
cargo bench --locked --quiet --package fusesg-sg -- --quick

say 'Python benchmarks'

"$VENV/bin/asv" machine --yes >/dev/null
"$VENV/bin/asv" run --environment "existing:$VENV/bin/python" --quick --show-stderr "$@"
