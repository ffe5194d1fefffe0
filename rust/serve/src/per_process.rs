//! Statics that a forked child does not share with its parent.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many forks lie between this process and the first.
static GENERATION: AtomicUsize = AtomicUsize::new(0);
/// Processes in a line of descent that have things of their own.
pub const GENERATIONS: usize = 64;

/// Gives this process, a child that was just forked, new ones of all [`PerProcess`]. To be
/// called once after each fork, before anything else of the crate is used.
pub fn new_generation() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
}

/// Something of which a forked child has a new one, as it was in the beginning.
///
/// What is in the parent's is not the child's business. Above all, another thread may have held
/// its lock when the child was forked: there is no such thread in the child, and the lock
/// would be held for ever.
#[derive(Debug)]
pub struct PerProcess<T>([T; GENERATIONS]);

impl<T> PerProcess<T> {
    /// One for each generation, all alike.
    pub const fn new(all: [T; GENERATIONS]) -> Self {
        Self(all)
    }
}

impl<T> Deref for PerProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0[GENERATION.load(Ordering::Relaxed) % GENERATIONS]
    }
}
