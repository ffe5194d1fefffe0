//! A request for every operation: who may go on, who waits for whom to end.
//!
//! Every operation that arrives takes a request from the connection's
//! [allocator](fusesg_sg::RequestAllocator) and keeps it until it is answered. When none is
//! free, closing a file goes on with the reserved request; anything else *waits in line*.
//!
//! ```text
//!  reader ──► a request is free ─────────────► file system ──► answered: request is free
//!     │                                            ▲                       │
//!     └─ none: the operation is parked, in ──► a thread of the line ◄──────┘
//!        order of arrival; the reader reads on
//! ```
//! A reader must not wait itself: the FLUSH that lets others go on has to be read, too. The
//! line has threads of its own from the first operation on that is parked. One of them looks
//! for free requests; when it goes into the file system, which may block, and leaves others
//! behind in the line, another one takes its place. So each of them holds a request, and
//! there are never more of them than requests.
//!
//! Parking and answering may cross. Who parks first says that somebody is in line and then
//! looks for a request; who answers first frees the request and then looks whether somebody
//! is in line. All four are sequentially consistent, so one of the two sees the other.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use fusesg_fs::{Context, Errno, Operation, RequestSize, Unique};
use fusesg_sg::{AllocateError, Request, RequestAllocator, RequestStatistics};
use parking_lot::{Mutex, MutexGuard};

use crate::condvar::Condvar;
use crate::responder::Responder;
use crate::served::Served;

/// What an operation is served with. The bytes of an answer lie in one buffer of a pool; the
/// vector describes its pages.
pub(crate) type OperationRequest = Request<()>;

/// The requests of one connection, and the line for them.
pub(crate) struct Admission {
    requests: Arc<RequestAllocator>,
    /// Operations in line.
    parked: AtomicUsize,
    parked_ever: AtomicU64,
    line: Mutex<Line>,
    /// A request is free, an operation is parked, or a thread of the line has ended.
    changed: Condvar,
}

#[derive(Default)]
struct Line {
    parked: VecDeque<Parked>,
    /// Threads of the line, and those of them that are not in the file system.
    threads: usize,
    looking: usize,
    closed: bool,
}

/// An operation without a request.
struct Parked {
    admitted: Admitted<'static>,
    size: RequestSize,
}

/// An operation that may be carried out: its responder has a request.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) context: Context,
    pub(crate) operation: Operation<'a>,
    pub(crate) responder: Responder,
}

impl Admission {
    pub(crate) fn new(max_requests: usize) -> Self {
        Self {
            requests: RequestAllocator::new(max_requests),
            parked: AtomicUsize::new(0),
            parked_ever: AtomicU64::new(0),
            line: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Where requests come from, for who sends operations with requests of their own.
    pub(crate) fn requests(&self) -> &Arc<RequestAllocator> {
        &self.requests
    }

    /// Gives the operation its request. `None` if it has to wait, and will be carried out by
    /// a thread of the line, or was answered.
    pub(crate) fn admit<'a>(
        &self,
        served: &Arc<Served>,
        mut arrived: Admitted<'a>,
    ) -> Option<Admitted<'a>> {
        let size = arrived.operation.request_size();
        // who waits came first; closing a file does not hold anybody up
        let in_turn = size == RequestSize::NoFail || self.parked.load(Ordering::SeqCst) == 0;
        let request = if in_turn { self.try_request(size) } else { Err(AllocateError::Exhausted) };
        match request {
            Ok(request) => {
                arrived.responder.set_request(request);
                Some(arrived)
            }
            Err(AllocateError::OutOfMemory) => {
                let _ = arrived.responder.answer(Err(Errno::ENOMEM));
                None
            }
            Err(AllocateError::Exhausted) => {
                self.parked_ever.fetch_add(1, Ordering::Relaxed);
                self.park(served, arrived, size)
            }
        }
    }

    /// Has an operation carried out by a thread of the line, in its turn.
    pub(crate) fn carry_out(&self, served: &Arc<Served>, mut admitted: Admitted<'static>) {
        admitted.responder.leave_request();
        let size = admitted.operation.request_size();
        if let Some(admitted) = self.park(served, admitted, size) {
            served.carry_out(admitted);
        }
    }

    /// Operations that wait for a request now.
    pub(crate) fn parked(&self) -> usize {
        self.parked.load(Ordering::Relaxed)
    }

    fn try_request(&self, size: RequestSize) -> Result<OperationRequest, AllocateError> {
        let free = self.requests.try_allocate(size.pages());
        match (free, size) {
            (Err(_), RequestSize::NoFail) => {
                self.requests.try_reserved().ok_or(AllocateError::Exhausted)
            }
            (free, _) => free,
        }
    }

    fn park<'a>(
        &self,
        served: &Arc<Served>,
        arrived: Admitted<'a>,
        size: RequestSize,
    ) -> Option<Admitted<'a>> {
        let mut line = self.line.lock();
        if line.closed {
            drop(line);
            let _ = arrived.responder.answer(Err(Errno::EIO));
            return None;
        }
        if line.looking == 0
            && let Err(error) = Self::start_thread(&mut line, served)
            && line.threads == 0
        {
            drop(line);
            log::error!("no thread for operations that have to wait for a request: {error}");
            return self.wait_here(arrived, size);
        }
        let Admitted { context, operation, responder } = arrived;
        let admitted = Admitted { context, operation: operation.into_owned(), responder };
        line.parked.push_back(Parked { admitted, size });
        self.parked.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_all();
        None
    }

    /// Waits for a request on the reader's thread: slow, but it goes on.
    fn wait_here<'a>(&self, mut arrived: Admitted<'a>, size: RequestSize) -> Option<Admitted<'a>> {
        let request = match size {
            RequestSize::NoFail => Ok(self.requests.allocate_nofail()),
            other => self.requests.allocate(other.pages()),
        };
        if let Ok(request) = request {
            arrived.responder.set_request(request);
            return Some(arrived);
        }
        let _ = arrived.responder.answer(Err(Errno::ENOMEM));
        None
    }

    fn start_thread(line: &mut Line, served: &Arc<Served>) -> io::Result<()> {
        let served = Arc::clone(served);
        thread::Builder::new()
            .name("fusesg-line".into())
            .spawn(move || served.connection.admission.serve_line(&served))?;
        line.threads += 1;
        line.looking += 1;
        Ok(())
    }

    fn serve_line(&self, served: &Arc<Served>) {
        while let Some(admitted) = self.next(served) {
            served.carry_out(admitted);
            self.line.lock().looking += 1;
        }
    }

    /// The next operation of the line that may go on; waits for it. `None` ends the thread,
    /// which was one that looks after the line, and is none any more either way.
    fn next(&self, served: &Arc<Served>) -> Option<Admitted<'static>> {
        let mut line = self.line.lock();
        loop {
            if line.closed || line.looking > 1 {
                line.looking -= 1;
                line.threads -= 1;
                self.changed.notify_all();
                return None;
            }
            match self.first_with_request(&mut line) {
                Some(Ok(admitted)) => {
                    line.looking -= 1;
                    if !line.parked.is_empty()
                        && let Err(error) = Self::start_thread(&mut line, served)
                    {
                        // this one comes back to it
                        log::warn!("operations wait for a thread: {error}");
                    }
                    return Some(admitted);
                }
                Some(Err(failed)) => MutexGuard::unlocked(&mut line, || {
                    let _ = failed.responder.answer(Err(Errno::ENOMEM));
                }),
                None => self.changed.wait(&mut line),
            }
        }
    }

    /// Takes the first operation out of the line that there is a request for; one for whose
    /// pages there is no memory is an error.
    fn first_with_request(
        &self,
        line: &mut Line,
    ) -> Option<Result<Admitted<'static>, Admitted<'static>>> {
        let (index, request) = match self.requests.try_allocate(line.parked.front()?.size.pages()) {
            Ok(request) => (0, request),
            Err(AllocateError::OutOfMemory) => return self.take_out(line, 0).map(Err),
            Err(AllocateError::Exhausted) => {
                let must_go_on = |parked: &Parked| parked.size == RequestSize::NoFail;
                let index = line.parked.iter().position(must_go_on)?;
                (index, self.requests.try_reserved()?)
            }
        };
        let mut admitted = self.take_out(line, index)?;
        admitted.responder.set_request(request);
        Some(Ok(admitted))
    }

    fn take_out(&self, line: &mut Line, index: usize) -> Option<Admitted<'static>> {
        let parked = line.parked.remove(index)?;
        self.parked.fetch_sub(1, Ordering::SeqCst);
        Some(parked.admitted)
    }

    /// A request was returned to the allocator.
    pub(crate) fn request_freed(&self) {
        if self.parked.load(Ordering::SeqCst) != 0 {
            // not between a look at the line and the beginning of the wait
            let _line = self.line.lock();
            self.changed.notify_all();
        }
    }

    /// Takes an operation out of the line that was answered by somebody else.
    pub(crate) fn give_up(&self, unique: Unique) {
        if self.parked.load(Ordering::SeqCst) == 0 {
            return;
        }
        let given_up = {
            let mut line = self.line.lock();
            let of_it = |parked: &Parked| parked.admitted.context.unique == unique;
            let index = line.parked.iter().position(of_it);
            index.and_then(|index| self.take_out(&mut line, index))
        };
        if let Some(given_up) = given_up {
            let _nobody_waits = given_up.responder.answer(Err(Errno::EINTR));
        }
    }

    /// Answers EIO to all that wait, and to all that come, and waits for the line's threads.
    pub(crate) fn close(&self) {
        let mut line = self.line.lock();
        line.closed = true;
        self.changed.notify_all();
        while let Some(parked) = self.take_out(&mut line, 0) {
            MutexGuard::unlocked(&mut line, || {
                let _nobody_waits = parked.responder.answer(Err(Errno::EIO));
            });
        }
        while line.threads != 0 {
            self.changed.wait(&mut line);
        }
    }

    /// The numbers of the requests; operations that had to wait in line are among the waits.
    pub(crate) fn statistics(&self) -> RequestStatistics {
        let mut statistics = self.requests.statistics();
        statistics.waits += self.parked_ever.load(Ordering::Relaxed);
        statistics
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("requests", &self.requests).finish_non_exhaustive()
    }
}
