//! Threads and the GIL.
//!
//! | concept | file |
//! |---|---|
//! | attaching to the interpreter, and the gate that closes at its end | `thread_state.rs` |
//! | which readers run callbacks, and whose | `combining.rs` |
//! | the threads for callbacks that no reader runs, and their monitor | `executors.rs` |
//! | where awaitables run: one asyncio loop for each mount that has some | `event_loop.rs` |
//! | objects that die on threads without the GIL | `reaper.rs` |
//! | requests whose threads wait for the GIL | `gil_waiters.rs` |
//! | what a signal handler raises in a thread that asks a client | `interruption.rs` |
//! | deadlocks with one's own mount | `watchdog.rs` |

pub(crate) mod combining;
pub(crate) mod event_loop;
pub(crate) mod executors;
pub(crate) mod gil_waiters;
pub(crate) mod interruption;
pub(crate) mod reaper;
pub(crate) mod thread_state;
pub(crate) mod watchdog;
