//! Who knows the numbers of a mount.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{Value, exposition};
use crate::connection::Connection;
use crate::{Dispatch, Statistics};

/// Tells the numbers of a mount, as long as it is served. Needs no serving thread, and
/// nothing that a callback might hold.
pub(crate) struct Reporter {
    pub(crate) connection: Arc<Connection>,
    pub(crate) dispatch: Weak<dyn Dispatch>,
    pub(crate) mountpoint: PathBuf,
    pub(crate) mounted: Instant,
    /// Where Prometheus asks.
    pub(crate) metrics: Option<SocketAddr>,
}

impl Reporter {
    /// Whether the mount is still there, rather than about to end.
    pub(crate) fn is_served(&self) -> bool {
        self.connection.is_connected()
    }

    /// All numbers.
    pub(crate) fn numbers(&self) -> Value {
        self.with_file_system(&self.connection.statistics())
    }

    /// All numbers, as Prometheus reads them.
    pub(crate) fn exposition(&self) -> String {
        let statistics = self.connection.statistics();
        let numbers = self.with_file_system(&statistics);
        exposition(self.mountpoint.as_os_str(), &statistics, &numbers)
    }

    /// Which mount it is, and what it counts.
    pub(crate) fn of_mount(&self, statistics: &Statistics) -> Value {
        let mount = Value::map([
            ("mountpoint", self.mountpoint.as_os_str().into()),
            ("pid", std::process::id().into()),
            ("seconds", self.mounted.elapsed().into()),
        ]);
        let mount = match self.metrics {
            Some(address) => {
                mount.with(Value::map([("metrics", address.to_string().as_str().into())]))
            }
            None => mount,
        };
        mount.with(statistics.into())
    }

    /// The same, and what the file system counts.
    fn with_file_system(&self, statistics: &Statistics) -> Value {
        let numbers = self.of_mount(statistics);
        match self.dispatch.upgrade() {
            Some(dispatch) => numbers.with(dispatch.numbers()),
            None => numbers,
        }
    }
}
