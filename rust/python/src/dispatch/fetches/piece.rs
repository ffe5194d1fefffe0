//! One `Fetch` piece of a READ: from calling its source to its data in pages.

use std::io;
use std::sync::Arc;

use fusesg_fs::{Errno, Result};
use fusesg_sg::{
    CopyOptions, Destination, PAGE_SIZE, Page, PageDescriptor, PagePool, PageRun, PageVector,
    Patience, SegmentList, copy,
};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::read::FetchedRead;
use super::{Fetches, Running, may_block, without_blocking};
use crate::conversions::errors;
use crate::data::fetch::{Called, PyFetch};
use crate::data::segments;
use crate::log_queue;
use crate::threads::executors::Job;
use crate::threads::{reaper, thread_state};

/// The obligation to carry out one piece. Dropped, the piece has failed.
pub(super) struct Piece {
    fetches: Arc<Fetches>,
    read: Arc<FetchedRead>,
    index: usize,
    /// Present until dropped.
    fetch: Option<Py<PyFetch>>,
    /// Since it has begun. Given back after all else: others begin then.
    running: Option<Running>,
}

impl Piece {
    pub(super) fn new(
        fetches: &Arc<Fetches>,
        read: &Arc<FetchedRead>,
        index: usize,
        fetch: Py<PyFetch>,
    ) -> Self {
        let (fetches, read) = (Arc::clone(fetches), Arc::clone(read));
        Self { fetches, read, index, fetch: Some(fetch), running: None }
    }

    /// It begins.
    pub(super) fn hold(&mut self, running: Running) {
        self.running = Some(running);
    }

    /// Whether it belongs to that read.
    pub(super) fn is_of(&self, read: &Arc<FetchedRead>) -> bool {
        Arc::ptr_eq(&self.read, read)
    }

    /// Whether [`run`](Self::run) takes no time to speak of.
    pub(super) fn is_quick(&self) -> bool {
        self.fetch().is_asynchronous()
    }

    /// Carries it out, on an executor; or begins to, if it is to be awaited.
    pub(super) fn run(self) {
        // where the interpreter is ending, dropping the piece answers
        if let Some(Some((piece, data))) = thread_state::attach(|py| self.call(py)) {
            piece.finish(data);
        }
    }

    /// It will not be carried out, and nobody waits for it.
    pub(super) fn discard(self, py: Python<'_>) {
        self.fetch().discard(py);
    }

    fn fetch(&self) -> &PyFetch {
        self.fetch.as_ref().expect("present until dropped").get()
    }

    /// Calls the source; `None` if the outcome comes later, or is not wanted.
    fn call(self, py: Python<'_>) -> Option<(Self, Result<SegmentList>)> {
        if !self.read.wants(self.index) {
            self.discard(py);
            return None;
        }
        let data = match self.fetch().call(py) {
            Ok(Called::Returned(object)) => self.data(&object),
            Ok(Called::Awaitable(awaitable)) => return self.begin_to_await(&awaitable),
            Err(error) => Err(self.raised(py, &error)),
        };
        Some((self, data))
    }

    /// Hands the piece to the event loop; gives it back if that is not possible.
    fn begin_to_await(self, awaitable: &Bound<'_, PyAny>) -> Option<(Self, Result<SegmentList>)> {
        let py = awaitable.py();
        let (fetches, read, index) =
            (Arc::clone(&self.fetches), Arc::clone(&self.read), self.index);
        let place = Arc::new(Mutex::new(Some(self)));
        let begun = Bound::new(py, AwaitedPiece(Arc::clone(&place)))
            .and_then(|outcome| fetches.event_loop.run(awaitable, outcome.as_any()));
        match begun {
            Ok(run) => {
                if let Some(run) = read.set_run(index, run) {
                    // given up meanwhile; or done, and then this does nothing
                    let _ = run.call_method0(py, intern!(py, "cancel"));
                }
                None
            }
            Err(error) => {
                let piece = place.lock().take()?;
                // else the mount ends, and the loop with it
                let errno = if read.wants(index) { piece.raised(py, &error) } else { Errno::EIO };
                Some((piece, Err(errno)))
            }
        }
    }

    /// The segments of what the source returned.
    fn data(&self, object: &Bound<'_, PyAny>) -> Result<SegmentList> {
        let py = object.py();
        let length = self.fetch().length();
        match segments::as_fetched(object) {
            Ok(list) if list.len() <= length => Ok(list),
            Ok(list) => {
                Err(self.refuse(&format!("returned {} bytes; its length is {length}", list.len())))
            }
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {
                Err(self.refuse(&format!("returned no data: {}", error.value(py))))
            }
            Err(error) => Err(self.raised(py, &error)),
        }
    }

    /// Brings the data into pages and completes the piece. May block.
    fn finish(self, data: Result<SegmentList>) {
        if !self.read.wants(self.index) {
            return;
        }
        let fetched =
            data.and_then(|list| Ok(into_pages(list, &self.fetches.pool, &WhileWanted(&self))?));
        let result = fetched.map(|run| {
            let bytes = run.len() as u64;
            self.read.assembly().put(self.index, run);
            bytes
        });
        self.complete(result);
    }

    fn complete(&self, result: Result<u64>) {
        let failed = result.is_err();
        if let Some(part) = self.read.take_part(self.index) {
            part.complete(result.map_err(io::Error::from));
            if failed {
                self.fetches.abandon(&self.read);
            }
        }
    }

    /// The errno for an exception that came out of the source.
    fn raised(&self, py: Python<'_>, error: &PyErr) -> Errno {
        let (errno, traceback) = errors::errno_of(py, error);
        if let Some(traceback) = traceback {
            log_queue::error(format!("{} raised; answered {errno}\n{traceback}", self.name()));
        }
        errno
    }

    /// Logs why what the source returned is no answer.
    fn refuse(&self, problem: &str) -> Errno {
        log_queue::error(format!("{} {problem}; answered EIO", self.name()));
        Errno::EIO
    }

    /// For log records.
    fn name(&self) -> String {
        let class = &self.fetches.class_name;
        format!("{class}.read: Fetch {} of {}", self.index + 1, self.read.pieces())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // does nothing after it has completed
        self.complete(Err(Errno::EIO));
        if let Some(fetch) = self.fetch.take() {
            reaper::defer(fetch.into_any());
        }
    }
}

/// A piece whose source is being awaited; called by the event loop with the outcome.
#[pyclass(frozen, module = "fusesg._core")]
struct AwaitedPiece(Arc<Mutex<Option<Piece>>>);

#[pymethods]
impl AwaitedPiece {
    fn __call__(&self, result: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) {
        let Some(piece) = self.0.lock().take() else { return };
        let py = result.py();
        let data = if error.is_none() {
            piece.data(result)
        } else {
            Err(piece.raised(py, &PyErr::from_value(error.clone())))
        };
        py.detach(|| {
            if data.as_ref().is_ok_and(may_block) {
                let fetches = Arc::clone(&piece.fetches);
                let run = Box::new(move |_| piece.finish(data));
                fetches.executors.submit_slow(Job { request: None, run });
            } else {
                without_blocking(|| piece.finish(data));
            }
        });
    }
}

/// Keeps waiting for pipes and sockets as long as the piece is wanted.
struct WhileWanted<'p>(&'p Piece);

impl Patience for WhileWanted<'_> {
    fn keep_waiting(&self) -> io::Result<()> {
        if self.0.read.wants(self.0.index) {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::ECANCELED))
    }
}

/// Brings `list` into pages of `pool`. Fewer bytes mean that a file or a stream ended.
fn into_pages(
    list: SegmentList,
    pool: &Arc<PagePool>,
    patience: &dyn Patience,
) -> io::Result<PageRun> {
    let length = usize::try_from(list.len()).map_err(|_| no_room())?;
    let mut pages: PageVector<Option<Page>> = PageVector::new(length.div_ceil(PAGE_SIZE))?;
    for (index, page) in pool.take_many(pages.max_pages())?.into_iter().enumerate() {
        let wanted = PAGE_SIZE.min(length - index * PAGE_SIZE);
        let descriptor = PageDescriptor::new(0, wanted).ok_or_else(no_room)?;
        pages.push(Some(page), descriptor).map_err(|_| no_room())?;
    }
    // what a source returned has other owners as a rule: moving its pages is not worth a try
    let options = CopyOptions::default();
    let copied = copy(list, Destination::Owned(&mut pages), options, patience)?;
    if let Some(error) = copied.failure {
        // a short piece would be taken for the end of the file
        return Err(error);
    }
    let length = usize::try_from(copied.bytes).map_err(|_| no_room())?;
    let filled = pages.iter_mut().filter_map(|(page, _)| page.take());
    Ok(PageRun::new(filled, length)?)
}

fn no_room() -> io::Error {
    io::Error::from_raw_os_error(libc::EMSGSIZE)
}
