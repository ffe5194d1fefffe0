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
python_status=0
"$VENV/bin/python" -m pytest "$@" || python_status=$?
# 1: tests failed. They meet the kernel, other processes and their signals, and a machine
# that is busy with something else: what failed has one more try, and is shown twice
if [[ $python_status -eq 1 ]]; then
    say 'Once more: the Python tests that failed'
    python_status=0
    "$VENV/bin/python" -m pytest --last-failed --last-failed-no-failures none "$@" ||
        python_status=$?
fi
status=$((status ? status : python_status))

exit "$status"
