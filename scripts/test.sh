#!/usr/bin/env bash
# test.sh [PYTEST ARGUMENT...]: the Rust tests, then the Python tests against the
# installed release wheel. Both always run; the status is the first failure's.
source "$(dirname "$0")/common.sh"

status=0

# The extension crate is left out: its tests are the Python ones. A Rust test of it
# would have to link libpython, which many machines have only as an interpreter.
say 'Rust tests'
cargo test --workspace --exclude fusesg-python --locked || status=$?

say 'Python tests'
"$VENV/bin/python" -m pytest "$@" || status=$((status ? status : $?))

exit "$status"
