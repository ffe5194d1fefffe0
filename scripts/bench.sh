#!/usr/bin/env bash
# bench.sh RANGE [ASV ARGUMENT...]: measures commits with asv, each in a wheel of its own.
# Wheels are built once and stay in .asv; results go to .asv/results.
source "$(dirname "$0")/common.sh"

range=$1
shift

git rev-parse --git-dir >/dev/null 2>&1 ||
    fail "$ROOT is not a git checkout, and asv measures commits (make bench-quick needs none)"
[[ -x $VENV/bin/asv ]] ||
    fail 'asv is not installed: scripts/environment.sh bench (make bench-quick goes without it)'
[[ -n $range ]] || fail 'which commits? make bench-history RANGE=HEAD~5..HEAD'
count=$(git rev-list --count "$range" 2>/dev/null) ||
    fail "$range: git knows no such commits$(
        [[ $(git rev-parse --is-shallow-repository) == true ]] &&
            echo '; this clone is shallow: git fetch --unshallow'
    )"
[[ $count -gt 0 ]] || fail "$range has no commits"

[[ -z $(git status --porcelain -- rust python Cargo.toml Cargo.lock pyproject.toml) ]] ||
    say 'Changes that are not committed are not measured'
[[ $(git rev-parse --is-shallow-repository) == false ]] ||
    say 'This clone is shallow: commits before its first one cannot be measured or shown'
[[ -e /dev/fuse ]] ||
    say 'No /dev/fuse: what needs a mount is left out (try: modprobe fuse)'

"$VENV/bin/python" -m benchmarks._workspace
"$VENV/bin/asv" machine --yes >/dev/null

# asv gives up on a range whose first commit cannot be built
commits=()
for commit in $(git rev-list "$range"); do
    say "Building ${commit:0:10}, if it is new"
    if "$VENV/bin/python" -m benchmarks.builds "$commit"; then commits+=("$commit"); fi
done
[[ ${#commits[@]} -gt 0 ]] || fail 'none of the commits can be built'

say "Measuring ${#commits[@]} of $count commits: $range"
# in place of this shell, so that who ends it ends asv
exec "$VENV/bin/asv" run HASHFILE:- --show-stderr "$@" < <(printf '%s\n' "${commits[@]}")
