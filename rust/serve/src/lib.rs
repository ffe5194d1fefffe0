//! How operations arrive and replies leave: transports, the mount's life cycle,
//! and what every request passes on its way (metrics, trace, deadline, killed callers).
//!
//! ```text
//!  kernel ──► transport ──► [metrics · trace · in-flight table] ──► Dispatch
//!         ◄── transport ◄────────────────────────────── Responder ◄──┘
//! ```
//! A transport knows only [`Dispatch`] and [`Responder`]; a native file system is put
//! behind them by [`Native`].

mod config;
mod dispatch;
mod mount;
mod native;
mod responder;

pub use config::MountConfig;
pub use dispatch::{Delivery, Dispatch};
pub use mount::{Mount, MountError, Notifier};
pub use native::Native;
pub use responder::{Cancellation, Responder};
