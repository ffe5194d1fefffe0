#!/usr/bin/env bash
# loom.sh [CARGO TEST ARGUMENT...]: the models of what threads share, in every order.
source "$(dirname "$0")/common.sh"

# The flag rebuilds the crate and all it depends on: a target directory of its own.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/loom
export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"

say 'Loom models'
# the models are small: optimising across crates would only cost time
cargo test --config profile.release.lto=false --package fusesg-sg --test loom --release --locked "$@"
