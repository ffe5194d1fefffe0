#!/usr/bin/env bash
# Builds the release wheel into dist/ and installs it into .venv, if a source has
# changed since. The key is the contents of the sources, not their times: a branch
# that is left and visited again costs nothing.
source "$(dirname "$0")/common.sh"

mapfile -d '' sources < <(
    find Cargo.toml Cargo.lock pyproject.toml README.md LICENSE LICENSE-THIRD-PARTY rust python examples -type f \
        -not -name '*.pyc' -not -path 'python/fusesg/_core.*.so' -print0 | LC_ALL=C sort -z
)
key=$(hash_of "${sources[@]}")
is_stamped wheel "$key" && exit 0

say 'Building the release wheel (about a minute the first time)'
rm -f dist/fusesg-*.whl
"$VENV/bin/maturin" build --release --locked --interpreter "$VENV/bin/python" --out dist

say 'Installing it into .venv'
"$VENV/bin/python" -m pip install --quiet --no-index --no-deps --force-reinstall dist/fusesg-*.whl
stamp wheel "$key"
