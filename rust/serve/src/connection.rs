//! What all requests of one mount share.

use std::sync::Arc;
use std::time::Duration;

use fusesg_fs::{Context, Operation};

use crate::MountConfig;
use crate::data_path::DataPath;
use crate::in_flight::InFlight;
use crate::kernel_passthrough::KernelPassthrough;
use crate::metrics::{Metrics, Statistics};
use crate::notifier::NotificationQueue;
use crate::own_reply::OwnReply;
use crate::responder::{Responder, Wanted};
use crate::sweeper::Wakeup;
use crate::trace;
use crate::transport::TransportReply;

/// The state that every request of a mount passes: table, counters, data path, timeouts.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) entry_timeout: Duration,
    pub(crate) attribute_timeout: Duration,
    pub(crate) negative_timeout: Duration,
    pub(crate) in_flight: InFlight,
    pub(crate) sweeper: Wakeup,
    pub(crate) metrics: Metrics,
    pub(crate) data_path: DataPath,
    pub(crate) own_reply: OwnReply,
    pub(crate) passthrough: KernelPassthrough,
    pub(crate) notifications: Arc<NotificationQueue>,
    trace: bool,
}

impl Connection {
    pub(crate) fn new(config: &MountConfig, own_reply: OwnReply) -> Arc<Self> {
        Arc::new(Self {
            entry_timeout: config.entry_timeout,
            attribute_timeout: config.attribute_timeout,
            negative_timeout: config.negative_timeout,
            in_flight: InFlight::new(),
            sweeper: Wakeup::default(),
            metrics: Metrics::default(),
            data_path: DataPath::new(config),
            own_reply,
            passthrough: KernelPassthrough::default(),
            notifications: Arc::new(NotificationQueue::default()),
            trace: config.trace,
        })
    }

    /// Enters a request; the responder leaves it.
    pub(crate) fn begin(
        self: &Arc<Self>,
        context: &Context,
        operation: &Operation<'_>,
        wanted: Wanted,
        reply: TransportReply,
    ) -> Responder {
        let kind = operation.kind();
        let ticket = self.in_flight.begin(context.unique, kind, context.pid);
        self.sweeper.note_request();
        let trace = (self.trace && trace::enabled()).then(|| trace::describe(operation));
        Responder::new(
            Arc::clone(self),
            context.unique,
            kind,
            operation.inode(),
            ticket,
            wanted,
            trace,
            reply,
        )
    }

    /// The mount's numbers.
    pub(crate) fn statistics(&self) -> Statistics {
        use std::sync::atomic::Ordering::Relaxed;
        Statistics {
            operations: self.metrics.operations(),
            in_flight: self.in_flight.count(),
            interrupted: self.metrics.interrupted.load(Relaxed),
            timed_out: self.metrics.timed_out.load(Relaxed),
            pool: self.data_path.pool.statistics(),
            data_path: self.data_path.statistics(),
        }
    }
}
