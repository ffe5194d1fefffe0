#!/usr/bin/env bash
# Everything that is checked without running the code, all of it even if something
# fails early, so that one run shows all there is to mend.
source "$(dirname "$0")/common.sh"

failed=()
check() {
    local name=$1
    shift
    say "$name"
    "$@" || failed+=("$name")
}

PATH=$VENV/bin:$PATH

check 'rustfmt' cargo fmt --all --check
check 'clippy' cargo clippy --workspace --all-targets --locked -- -D warnings
check 'rustdoc' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
check 'ruff' ruff check
check 'ruff format' ruff format --check
check 'mypy' mypy
check 'stubtest' python -m mypy.stubtest fusesg._core \
    --allowlist scripts/stubtest-allowlist.txt --mypy-config-file pyproject.toml
check 'stubtest of the examples' python -m mypy.stubtest fusesg.examples \
    --ignore-missing-stub --mypy-config-file pyproject.toml
check 'verifytypes' basedpyright --verifytypes fusesg --ignoreexternal
check 'docstrings' python scripts/check_docs.py
check 'docs' scripts/docs.sh
check 'tree' python scripts/check_tree.py
check 'licences' python scripts/third_party.py --check

[[ ${#failed[@]} -eq 0 ]] || fail "failed: ${failed[*]}"
say 'All checks passed'
