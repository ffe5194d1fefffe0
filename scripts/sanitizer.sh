#!/usr/bin/env bash
# sanitizer.sh address|thread [CARGO ARGUMENT...]: the tests of the scatter-gather core
# under that sanitizer.
source "$(dirname "$0")/common.sh"

sanitizer=$1
shift
target=x86_64-unknown-linux-gnu
arguments=(--locked --package fusesg-sg --lib --tests --target "$target")
skipped=()

case $sanitizer in
    address)
        # What is allocated and never freed is a finding, too; an allocation that fails is
        # none: tests ask for more memory than there is.
        options=detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1
        export ASAN_OPTIONS=$options
        ;;
    thread)
        # Threads meet in the standard library: unless that is instrumented as well, each
        # channel and each join looks like a race.
        arguments+=(-Zbuild-std)
        if [[ ! -d $(rustc --print sysroot)/lib/rustlib/src/rust ]]; then
            say 'Installing the source of the standard library'
            rustup component add rust-src || fail 'the thread sanitizer needs rust-src'
        fi
        # counts page faults, of which the sanitizer's own memory has many
        skipped=(--skip buffers_are_faulted_in_before_they_are_lent)
        export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1
        ;;
    *) fail "no such sanitizer: $sanitizer" ;;
esac

# sanitizers are options that only nightly compilers admit to having
export RUSTC_BOOTSTRAP=1
# a directory and a target of their own: build scripts and macros stay without sanitizer
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}/$sanitizer-sanitizer
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-Zsanitizer=$sanitizer

say "Tests of the core under the $sanitizer sanitizer"
cargo test "${arguments[@]}" "$@" -- "${skipped[@]}"
