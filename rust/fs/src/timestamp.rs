//! Points in time, as `stat` has them.

/// Seconds and nanoseconds since 1970; `nanoseconds` is always below 10⁹ and counts
/// forward, also before 1970 (-0.5 s is `{-1, 500_000_000}`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01 UTC, rounded down.
    pub seconds: i64,
    /// Nanoseconds after `seconds`.
    pub nanoseconds: u32,
}

const BILLION: i128 = 1_000_000_000;

impl Timestamp {
    /// From nanoseconds since 1970; `None` when the seconds do not fit 64 bits.
    pub fn from_nanoseconds(total: i128) -> Option<Self> {
        let seconds = i64::try_from(total.div_euclid(BILLION)).ok()?;
        let nanoseconds = u32::try_from(total.rem_euclid(BILLION)).ok()?;
        Some(Self { seconds, nanoseconds })
    }

    /// Nanoseconds since 1970.
    pub fn nanoseconds_since_epoch(self) -> i128 {
        i128::from(self.seconds) * BILLION + i128::from(self.nanoseconds)
    }
}
