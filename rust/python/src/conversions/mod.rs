//! Plain Python objects ↔ Rust values, with messages that name the argument.
//!
//! | concept | file |
//! |---|---|
//! | file descriptors, and objects that have one | `descriptors.rs` |
//! | exceptions ↔ errno | `errors.rs` |
//! | keyword arguments that there are not | `keywords.rs` |
//! | `str`, `bytes` and paths ↔ names | `names.rs` |
//! | numbers, times, ranges | `numbers.rs` |
//! | what a mount has counted | `value.rs` |

pub(crate) mod descriptors;
pub(crate) mod errors;
pub(crate) mod keywords;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod value;
