//! What the fuzzers do with an input: carry it out, and compare with the oracle.
//!
//! Each of [`TARGETS`] takes any bytes and panics where something is wrong. `make fuzz` runs
//! them under libFuzzer (`fuzz/`); the test of this crate replays `fuzz/corpus/` through
//! them, with some mutations.
//!
//! | targets | file |
//! |---|---|
//! | `iovec`, `direct_io`, `page_span`: requests of the in-process client | `requests.rs` |
//! | `reply`: segment lists into messages, packed, gathered and spliced | `reply.rs` |
//! | `pages`, `pipe_list`: segment lists and pipes into the pages of a request | `pages.rs` |
//! | `mountinfo`, `caller`, `directory`: what the kernel tells in bytes | `parsers.rs` |

#![expect(clippy::missing_panics_doc, reason = "to panic is how a target tells of a finding")]

mod pages;
mod parsers;
mod reply;
mod requests;

pub use pages::{pages, pipe_list};
pub use parsers::{caller, directory, mountinfo};
pub use reply::reply;
pub use requests::{direct_io, iovec, page_span};

/// Carries out an input.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 9] = [
    ("iovec", iovec),
    ("direct_io", direct_io),
    ("page_span", page_span),
    ("reply", reply),
    ("pages", pages),
    ("pipe_list", pipe_list),
    ("mountinfo", mountinfo),
    ("caller", caller),
    ("directory", directory),
];

/// The input as what a target wants; `None` if the bytes do not make one.
fn decode<'a, T: arbitrary::Arbitrary<'a>>(input: &'a [u8]) -> Option<T> {
    T::arbitrary_take_rest(arbitrary::Unstructured::new(input)).ok()
}
