//! Who knows the numbers of a mount.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{Value, exposition};
use crate::Dispatch;
use crate::connection::Connection;

/// Tells the numbers of a mount, as long as it is served. Needs no serving thread, and
/// nothing that a callback might hold.
pub(crate) struct Reporter {
    pub(crate) connection: Arc<Connection>,
    pub(crate) dispatch: Weak<dyn Dispatch>,
    pub(crate) mountpoint: PathBuf,
    pub(crate) mounted: Instant,
}

impl Reporter {
    /// Whether the mount is still there, rather than about to end.
    pub(crate) fn is_served(&self) -> bool {
        self.connection.is_connected()
    }

    /// All numbers.
    pub(crate) fn numbers(&self) -> Value {
        self.with_own(Value::from(&self.connection.statistics()))
    }

    /// All numbers, as Prometheus reads them.
    pub(crate) fn exposition(&self) -> String {
        let statistics = self.connection.statistics();
        let numbers = self.with_own(Value::from(&statistics));
        exposition(self.mountpoint.as_os_str(), &statistics, &numbers)
    }

    /// What only the mount itself and its file system know is added.
    fn with_own(&self, numbers: Value) -> Value {
        let own = mount(self.mountpoint.as_os_str(), self.mounted).with(numbers);
        match self.dispatch.upgrade() {
            Some(dispatch) => own.with(dispatch.numbers()),
            None => own,
        }
    }
}

/// Which mount it is.
pub(crate) fn mount(mountpoint: &OsStr, mounted: Instant) -> Value {
    Value::map([
        ("mountpoint", mountpoint.into()),
        ("pid", std::process::id().into()),
        ("seconds", mounted.elapsed().into()),
    ])
}
