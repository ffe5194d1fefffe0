#!/usr/bin/env bash
# Builds what is published into dist/, and checks it: the source distribution, and made of
# that alone one wheel for every Python from 3.11 on and every Linux with glibc 2.17 or later,
# which is the oldest that Rust supports.
source "$(dirname "$0")/common.sh"

PATH=$VENV/bin:$PATH
# a directory outside of the repository: what the source distribution lacks is not found
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT

say 'Building the source distribution'
rm -f dist/fusesg-*
maturin sdist --out dist
tar -xzf dist/fusesg-*.tar.gz -C "$clean" --strip-components 1

say 'Building the wheel from it (some minutes the first time)'
# where the crates lie on this machine is nobody's business
crates=${CARGO_HOME:-$HOME/.cargo}/registry/src library=$(rustc --print sysroot)/lib/rustlib/src
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$crates= --remap-path-prefix=$library="
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
(
    cd "$clean"
    # not --locked: the lock file also names crates that only the repository has
    maturin build --release --zig --compatibility manylinux2014 \
        --interpreter "$VENV/bin/python" --out "$ROOT/dist"
)

say 'Checking both'
python scripts/check_wheel.py dist/fusesg-*.whl dist/fusesg-*.tar.gz
auditwheel show dist/fusesg-*.whl
abi3audit --strict --summary dist/fusesg-*.whl
twine check --strict dist/fusesg-*
