#!/usr/bin/env bash
# Prints the interpreter that .venv is made from: $PYTHON if that is set, else the
# first usable one of the usual names.

# A version manager may have put a name into PATH that does not start anything,
# so each candidate is asked, not only looked up.
is_usable() {
    "$1" -c '
import sys, sysconfig
sys.exit(not (
    sys.version_info >= (3, 11)
    and sys.implementation.name == "cpython"
    and not sysconfig.get_config_var("Py_GIL_DISABLED")  # has no stable ABI
))' 2>/dev/null
}

for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3 python}; do
    if is_usable "$candidate"; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit
    fi
done

echo "error: fusesg needs CPython 3.11 or later (not a free-threaded build); none found as" \
    "${PYTHON:-python3.13, 3.12, 3.11, 3.14, python3 or python}." \
    "Install one, or say which: make PYTHON=/path/to/python3" >&2
exit 1
