//! A Python object behind the trait `Dispatch`.
//!
//! | concept | file |
//! |---|---|
//! | which way an operation takes, and its answer | `dispatcher.rs` |
//! | which thread runs a callback | `calling.rs` |
//! | callbacks that are awaited | `asynchronous.rs` |
//! | where the time of a callback goes | `callback_timer.rs` |
//! | the numbers | `numbers.rs` |
//! | init and destroy | `life_cycle.rs` |
//! | reads that are answered with `Fetch` pieces | `fetches.rs` |
//! | which methods a class has, what it declares | `implementation.rs` |
//! | what the root is, and has to be | `root.rs` |
//! | open files and directories of a class | `handles.rs` |
//! | open files whose bytes are known | `open_data.rs` |
//! | readdir: listings that are kept, and their offsets | `directory_snapshot.rs` |

pub(crate) mod asynchronous;
mod callback_timer;
mod calling;
pub(crate) mod directory_snapshot;
pub(crate) mod dispatcher;
pub(crate) mod fetches;
pub(crate) mod handles;
pub(crate) mod implementation;
mod life_cycle;
mod numbers;
pub(crate) mod open_data;
pub(crate) mod root;
