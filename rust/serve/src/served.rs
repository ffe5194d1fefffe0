//! A file system as transports see it: one door for operations.
//!
//! Whatever the transport, names that no file can have are refused, operations that are not
//! implemented are answered from the [table](crate::absent), and a panic is an answer of EIO.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fusesg_fs::{
    Context, Errno, Inode, Operation, OperationKind, OperationSet, Properties, Unique,
};

use crate::admission::Admitted;
use crate::connection::Connection;
use crate::responder::{Responder, Wanted};
use crate::serving::Serving;
use crate::transport::TransportReply;
use crate::{Dispatch, absent, access_lists, locks, names};

/// A file system, its properties, and the connection over which it is served.
pub(crate) struct Served {
    dispatch: Arc<dyn Dispatch>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) properties: Properties,
    /// Operations that go to `dispatch`; the others are answered by the table.
    implemented: OperationSet,
}

impl Served {
    pub(crate) fn new(
        dispatch: Arc<dyn Dispatch>,
        connection: Arc<Connection>,
        properties: Properties,
    ) -> Arc<Self> {
        let all = OperationKind::ALL.iter().copied();
        let implemented = all.filter(|kind| absent::is_implemented(&properties, *kind)).collect();
        Arc::new(Self { dispatch, connection, properties, implemented })
    }

    /// Passes an operation on, as soon as there is a request for it. `wanted` is how many
    /// bytes the answer may have.
    pub(crate) fn serve(
        self: &Arc<Self>,
        context: Context,
        wanted: Wanted,
        reply: TransportReply,
        operation: Operation<'_>,
    ) {
        let responder = self.connection.begin(&context, &operation, wanted, reply);
        let arrived = Admitted { context, operation, responder };
        if let Some(admitted) = self.connection.admission.admit(self, arrived) {
            self.carry_out(admitted);
        }
    }

    /// Passes on an operation that has its request, or is part of one.
    pub(crate) fn carry_out(&self, admitted: Admitted<'_>) {
        let Some(admitted) = locks::enter(&self.connection.locks, admitted) else { return };
        let Admitted { context, operation, responder } = admitted;
        let kind = operation.kind();
        if let Err(errno) = names::check(&operation) {
            let _ = responder.answer(Err(errno));
        } else if !self.implemented.contains(kind) {
            let _ = responder.answer(absent::answer(&self.properties, kind));
        } else if !self.properties.posix_acl && access_lists::concerns(&operation) {
            let _ = responder.answer(Err(Errno::ENOTSUP));
        } else if self.connection.repeats_deadlock(&context, &operation) {
            let _ = responder.answer(Err(Errno::EDEADLK));
        } else {
            self.dispatch(context, operation, responder);
        }
    }

    fn dispatch(&self, context: Context, operation: Operation<'_>, responder: Responder) {
        let kind = operation.kind();
        let _serving = Serving::enter();
        let call = || self.dispatch.dispatch(context, operation, responder);
        // the responder is dropped on the way out and answers EIO
        if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
            log::error!("{kind} panicked: {}", panic_message(&*panic));
        }
    }

    /// The file system is told that nobody waits for the answer any more.
    pub(crate) fn cancelled(&self, unique: Unique) {
        self.dispatch.cancelled(unique);
    }

    /// Takes back lookups.
    pub(crate) fn forget(&self, inode: Inode, count: u64) {
        let metrics = &self.connection.metrics;
        let started = metrics.begin(OperationKind::Forget, inode.0);
        let _serving = Serving::enter();
        let call = || self.dispatch.forget(inode, count);
        let failed = catch_unwind(AssertUnwindSafe(call)).is_err();
        if failed {
            log::error!("forget of inode {inode} panicked");
        }
        metrics.count(OperationKind::Forget, failed, 0);
        metrics.end(OperationKind::Forget, started);
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("properties", &self.properties).finish_non_exhaustive()
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
