# Sourced by the other scripts: where things are, how they talk.
# shellcheck shell=bash

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
VENV=$ROOT/.venv
STAMPS=$VENV/.stamps

# clippy, rustdoc and the tests must agree on the interpreter, or cargo would
# build PyO3 anew for each of them.
export PYO3_PYTHON=$VENV/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1

if [[ -t 2 ]]; then BOLD=$'\e[1m' PLAIN=$'\e[0m'; else BOLD='' PLAIN=''; fi

say() { printf '%s==> %s%s\n' "$BOLD" "$*" "$PLAIN" >&2; }

fail() {
    printf '%serror:%s %s\n' "$BOLD" "$PLAIN" "$*" >&2
    exit 1
}

# is_stamped NAME KEY: was NAME done for this very KEY?
is_stamped() { [[ -f $STAMPS/$1 && $(<"$STAMPS/$1") == "$2" ]]; }

# stamp NAME KEY: NAME is done for KEY.
stamp() {
    mkdir -p "$STAMPS"
    printf '%s\n' "$2" >"$STAMPS/$1"
}

# hash_of FILE...: one key for the contents of all of them.
hash_of() { sha256sum -- "$@" | sha256sum | cut -d ' ' -f 1; }
