//! The two clocks of the numbers, both in nanoseconds since the same moment.
//!
//! Reading the exact one costs 20 to 40 ns, which is most of what counting an operation may
//! cost; the coarse one is what the kernel noted at its last tick, and costs a few.

use std::sync::OnceLock;

use crate::sys;

/// The exact time.
pub(crate) fn now() -> u64 {
    sys::clock(libc::CLOCK_MONOTONIC)
}

/// The time at the last tick: up to [`tick`] before [`now`].
pub(crate) fn coarse() -> u64 {
    sys::clock(libc::CLOCK_MONOTONIC_COARSE)
}

/// Time between two ticks: 1 to 10 ms.
pub(crate) fn tick() -> u64 {
    static TICK: OnceLock<u64> = OnceLock::new();
    *TICK.get_or_init(|| sys::clock_resolution(libc::CLOCK_MONOTONIC_COARSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_at_most_a_tick_behind() {
        for _ in 0..1000 {
            let before = now();
            let coarse = coarse();
            let after = now();
            assert!(coarse <= after);
            // the tick itself takes the kernel some time
            assert!(coarse + 2 * tick() >= before, "{coarse} against {before}");
        }
    }
}
