//! Plain Python objects ↔ Rust values, with messages that name the argument.
//!
//! | concept | file |
//! |---|---|
//! | exceptions ↔ errno | `errors.rs` |
//! | `str`, `bytes` and paths ↔ names | `names.rs` |
//! | numbers, times, ranges | `numbers.rs` |

pub(crate) mod errors;
pub(crate) mod names;
pub(crate) mod numbers;
