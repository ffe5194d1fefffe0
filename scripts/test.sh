#!/usr/bin/env bash
# test.sh [PYTEST ARGUMENT...]: the Rust tests and the loom models, each benchmark once, then
# the Python tests against the installed release wheel. All always run; the status is the
# first failure's.
source "$(dirname "$0")/common.sh"

# Rust tests of the extension crate link libpython, which an interpreter need not have.
read -r libdir libpython version < <("$VENV/bin/python" -c '
from sysconfig import get_config_vars
print(*get_config_vars("LIBDIR", "LDLIBRARY", "py_version_short"))')
packages=(--workspace)
library_path=${LD_LIBRARY_PATH:-}
if [[ -e $libdir/$libpython ]]; then
    library_path=$libdir${library_path:+:$library_path}
else
    packages+=(--exclude fusesg-python)
    say "Leaving out the Rust tests of fusesg-python: no $libpython in $libdir" \
        "(on Debian and Ubuntu: libpython$version-dev)"
fi

status=0

say 'Rust tests'
LD_LIBRARY_PATH=$library_path cargo test "${packages[@]}" --locked || status=$?

scripts/loom.sh || status=$((status ? status : $?))

scripts/bench-quick.sh || status=$((status ? status : $?))

say 'Python tests'
"$VENV/bin/python" -m pytest "$@" || status=$((status ? status : $?))

exit "$status"
