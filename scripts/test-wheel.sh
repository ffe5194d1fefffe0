#!/usr/bin/env bash
# test-wheel.sh [VERSION...]: installs the wheel in dist/ into an empty environment of each
# Python that this machine has, and uses it there with nothing else to be found: no compiler,
# no Rust, no libfuse, and as root no fusermount3 either.
source "$(dirname "$0")/common.sh"

versions=("$@")
[[ ${#versions[@]} -eq 0 ]] && versions=(3.11 3.12 3.13 3.14)

clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
tested=() missing=()

for version in "${versions[@]}"; do
    candidates="python$version ${PYENV_ROOT:-$HOME/.pyenv}/versions/$version.*/bin/python$version"
    if ! python=$(PYTHON=$candidates scripts/find-python.sh 2>/dev/null); then
        missing+=("$version")
        continue
    fi
    say "The wheel with $python and nothing else"
    environment=$clean/$version
    "$python" -m venv --without-pip "$environment"
    "$VENV/bin/python" -m pip --quiet --python "$environment/bin/python" \
        install --no-index --no-deps dist/fusesg-*.whl
    # nobody but root can do without it
    [[ $EUID -eq 0 ]] || ln -s "$(command -v fusermount3)" "$environment/bin/"
    mkdir "$environment/home"
    (
        cd "$environment/home"
        program=("$environment/bin/python" -I "$ROOT/scripts/use_wheel.py" "$environment")
        env --ignore-environment PATH="$environment/bin" HOME="$PWD" TMPDIR="$PWD" "${program[@]}"
    )
    tested+=("$version")
done

[[ ${#tested[@]} -gt 0 ]] || fail "there is none of Python ${versions[*]}"
say "The wheel works with Python ${tested[*]}${missing:+; not on this machine: ${missing[*]}}"
