#!/usr/bin/env bash
# environment.sh NAME: makes .venv and installs requirements/NAME.txt into it.
# Does nothing, and needs no network, when that is done already.
source "$(dirname "$0")/common.sh"

name=$1

command -v cargo >/dev/null ||
    fail 'cargo is not in PATH; install Rust 1.95 or later, for example with rustup'

if ! "$VENV/bin/python" -c '' 2>/dev/null; then
    python=$(scripts/find-python.sh)
    say "Creating .venv with $python"
    rm -rf "$VENV"
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        # Debian ships the venv module without pip, in a package per version.
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
            fail "$python cannot make virtual environments; install $package"
        fi
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$package" >&2
    fi
    "$python" -m venv "$VENV"
fi

key=$(hash_of requirements/build.txt "requirements/$name.txt")
if ! is_stamped "requirements-$name" "$key"; then
    say "Installing requirements/$name.txt into .venv"
    "$VENV/bin/python" -m pip install --requirement "requirements/$name.txt" || fail \
        "requirements/$name.txt cannot be installed: pip says why above; it needs a network, once$(
            [[ $name != bench ]] || echo ' (make bench-quick goes without it)'
        )"
    stamp "requirements-$name" "$key"
fi
