#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET...]]: runs libFuzzer on each target for that long, beginning with
# the kept corpus. New inputs stay in target/fuzz/; the smallest of those that reach more
# code than the kept ones are added to fuzz/corpus/ by KEEP=1.
source "$(dirname "$0")/common.sh"

seconds=${1:-60}
shift $(($# > 0))
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    for corpus in fuzz/corpus/*/; do targets+=("$(basename "$corpus")"); done
fi

# libFuzzer needs instrumentation that only nightly compilers admit to having.
export RUSTC_BOOTSTRAP=1
if ! cargo fuzz --version >/dev/null 2>&1; then
    say 'Installing cargo-fuzz'
    cargo install --quiet cargo-fuzz
fi

work=${CARGO_TARGET_DIR:-$ROOT/target}/fuzz
build=(--fuzz-dir fuzz --target-dir "$work/build")
for target in "${targets[@]}"; do
    say "Fuzzing $target for $seconds s"
    mkdir -p "$work/$target" "$work/findings"
    cargo fuzz run "${build[@]}" "$target" "$work/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=2048 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$work/findings/$target-"
    if [[ -n ${KEEP:-} ]]; then
        cargo fuzz run "${build[@]}" "$target" "fuzz/corpus/$target" "$work/$target" -- \
            -merge=1 -max_len="${KEEP_LENGTH:-256}"
    fi
done
