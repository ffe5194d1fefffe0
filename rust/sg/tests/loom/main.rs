//! Every order in which a few threads can meet, tried one after the other by loom.
//!
//! Run by `make loom`. One file per part; each model is small enough for all of them to
//! take less than a minute.
#![cfg(loom)]

mod completion;
mod pool;
mod request;

/// Runs `model` in every order in which the scheduler may interrupt a thread, up to three
/// times in one run: more have never been needed to find a mistake, and cost minutes.
fn every_order(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
