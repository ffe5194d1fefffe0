#!/usr/bin/env bash
# system-packages.sh PURPOSE...: installs what requirements/system.txt lists for
# these purposes and this machine lacks. As root through apt-get; everybody else is
# told in one line what to install.
source "$(dirname "$0")/common.sh"

missing=() packages=()
while read -r purpose command names; do
    [[ $purpose == '#'* || -z $purpose || " $* " != *" $purpose "* ]] && continue
    [[ $purpose == mount && $EUID -eq 0 ]] && continue # root mounts by itself
    [[ $command == /* && -e $command ]] || command -v "$command" >/dev/null && continue
    [[ " ${missing[*]} " == *" $command "* ]] && continue
    missing+=("$command")
    read -ra names <<<"$names"
    packages+=("${names[@]}")
done <requirements/system.txt

[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    say "Installing system packages: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get -qq update && apt-get -qq install -y --no-install-recommends "${packages[@]}" >&2; then
        exit 0
    fi
fi

hint="missing: ${missing[*]}; to install on Debian or Ubuntu: sudo apt-get install ${packages[*]}"
# Without a linker nothing works; what needs the other programs says so itself.
[[ " ${missing[*]} " == *" cc "* ]] && fail "$hint"
say "$hint"
