//! How long something takes: a histogram with a bounded relative error.
//!
//! Each power of two of nanoseconds is divided into [`PER_OCTAVE`] buckets of equal width, so
//! a bucket is at most a quarter as wide as what it counts is long, and a quantile, told by
//! the middle of its bucket, is wrong by an eighth at most.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets for each power of two; itself one.
const PER_OCTAVE: usize = 1 << PER_OCTAVE_LOG;
const PER_OCTAVE_LOG: usize = 2;
/// What takes longer than 2 to this power, 18 minutes, is in the last bucket.
const OCTAVES: usize = 40;
/// Buckets of a histogram.
const BUCKETS: usize = (OCTAVES - PER_OCTAVE_LOG + 1) * PER_OCTAVE;

/// Counts of what took how long; all threads may add to it.
#[derive(Debug)]
pub(crate) struct Histogram {
    nanoseconds: AtomicU64,
    longest: AtomicU64,
    counts: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            nanoseconds: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Histogram {
    /// Counts something that took so long.
    pub(crate) fn record(&self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.note(nanoseconds);
    }

    /// Something that is not counted took so long.
    pub(crate) fn note(&self, nanoseconds: u64) {
        if nanoseconds > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(nanoseconds, Ordering::Relaxed);
        }
    }

    /// Adds what was counted to `sum`.
    pub(crate) fn add_to(&self, sum: &mut Durations) {
        sum.total += Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        sum.longest = sum.longest.max(Duration::from_nanos(self.longest.load(Ordering::Relaxed)));
        for (total, counter) in sum.counts.iter_mut().zip(&self.counts) {
            *total += counter.load(Ordering::Relaxed);
        }
    }
}

/// How long something took each time: what a histogram had counted at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations {
    /// All of them together.
    pub total: Duration,
    /// The longest, also of those that were not counted but seen to take longer.
    pub longest: Duration,
    counts: Box<[u64; BUCKETS]>,
}

impl Default for Durations {
    fn default() -> Self {
        Self { total: Duration::ZERO, longest: Duration::ZERO, counts: Box::new([0; BUCKETS]) }
    }
}

impl Durations {
    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What a fraction `quantile` of them did not exceed, to within an eighth; zero if there
    /// are none. The longest is exact.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let count = self.count();
        if quantile >= 1.0 {
            return self.longest;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among them, and the float saturates"
        )]
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(middle(index)).min(self.longest);
            }
        }
        Duration::ZERO
    }

    /// The buckets that are not empty: below how many nanoseconds what they count is (and not
    /// below the bucket before), and how many.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count != 0);
        filled.map(|(index, count)| (end(index), *count))
    }

    /// How many took less than 2 to the power of `exponent` nanoseconds.
    pub fn below_power(&self, exponent: u32) -> u64 {
        let end = 1_u64.checked_shl(exponent).map_or(BUCKETS, bucket);
        self.counts[..end].iter().sum()
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let octave = nanoseconds.max(1).ilog2() as usize;
    let shift = octave.saturating_sub(PER_OCTAVE_LOG);
    let within = usize::try_from(nanoseconds >> shift).unwrap_or(usize::MAX);
    (shift * PER_OCTAVE + within).min(BUCKETS - 1)
}

/// The first number of nanoseconds that is in a bucket.
fn start(index: usize) -> u64 {
    let shift = (index / PER_OCTAVE).saturating_sub(1);
    ((index - shift * PER_OCTAVE) as u64) << shift
}

/// The first one that is behind it.
fn end(index: usize) -> u64 {
    start(index + 1)
}

fn middle(index: usize) -> u64 {
    u64::midpoint(start(index), end(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_bucket_begins_where_the_one_before_ends() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(start(index)), index);
            assert_eq!(bucket(end(index) - 1), index);
        }
        assert_eq!(end(BUCKETS - 1), 1 << OCTAVES);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_counted_is_no_time() {
        let none = Durations::default();
        assert_eq!(
            (none.count(), none.quantile(0.5), none.quantile(1.0)),
            (0, none.total, none.total)
        );
        assert_eq!(none.buckets().count(), 0);
    }

    #[test]
    fn what_is_only_noted_is_the_longest_and_not_counted() {
        let histogram = Histogram::default();
        histogram.record(1000);
        histogram.note(9_000_000);
        histogram.note(5);
        let mut seen = Durations::default();
        histogram.add_to(&mut seen);
        assert_eq!((seen.count(), seen.total), (1, Duration::from_micros(1)));
        assert_eq!(seen.longest, Duration::from_millis(9));
    }

    proptest! {
        #[test]
        fn a_quantile_is_wrong_by_an_eighth_at_most(
            mut times in prop::collection::vec((0_u32..40, 0_u64..u64::MAX), 1..200),
            quantile in 0.0..=1.0_f64,
        ) {
            // of all magnitudes, rather than almost only large ones
            let mut times: Vec<u64> = times.drain(..).map(|(bits, n)| n >> (63 - bits) >> 1).collect();
            let histogram = Histogram::default();
            for time in &times {
                histogram.record(*time);
            }
            let mut seen = Durations::default();
            histogram.add_to(&mut seen);
            times.sort_unstable();
            let count = times.len();
            prop_assert_eq!(seen.count(), count as u64);
            prop_assert_eq!(seen.longest, Duration::from_nanos(times[count - 1]));
            let parts = |n: usize| f64::from(u32::try_from(n).expect("few"));
            // the first time that the wanted part of all times does not exceed
            let wanted = |rank: &usize| parts(*rank) >= parts(count) * quantile;
            let rank = (1..=count).find(wanted).expect("the last one at least");
            let exact = times[rank - 1];
            let told = u64::try_from(seen.quantile(quantile).as_nanos()).expect("short");
            prop_assert!(told.abs_diff(exact) * 8 <= exact, "{told} for {exact}");
        }

        #[test]
        fn quantiles_ascend_and_buckets_add_up(
            times in prop::collection::vec(0_u64..1 << 41, 1..100),
            exponent in 0_u32..40,
        ) {
            let histogram = Histogram::default();
            for time in &times {
                histogram.record(*time);
            }
            let mut seen = Durations::default();
            histogram.add_to(&mut seen);
            let told: Vec<_> = (0..=100).map(|n| seen.quantile(f64::from(n) / 100.0)).collect();
            prop_assert!(told.is_sorted());
            prop_assert_eq!(seen.buckets().map(|(_, count)| count).sum::<u64>(), seen.count());
            let below = times.iter().filter(|time| **time < 1 << exponent).count();
            prop_assert_eq!(seen.below_power(exponent), below as u64);
        }
    }
}
