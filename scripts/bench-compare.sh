#!/usr/bin/env bash
# bench-compare.sh [ARGUMENT...]: compares the commits $BASE and $HEAD on this machine.
# Also from the environment: BENCH, PAIRS, THRESHOLD; see `--help`.
source "$(dirname "$0")/common.sh"

git rev-parse --git-dir >/dev/null 2>&1 || fail "$ROOT is not a git checkout"
exec "$VENV/bin/python" -m benchmarks.compare \
    ${BENCH:+--bench "$BENCH"} ${PAIRS:+--pairs "$PAIRS"} ${THRESHOLD:+--threshold "$THRESHOLD"} \
    "$@" "${BASE:-HEAD^}" "${HEAD:-HEAD}"
