//! One `Fetch` piece of a READ: from calling its source to its data in pages.

use std::io;
use std::sync::Arc;

use fusesg_fs::{Errno, Result};
use fusesg_sg::{
    CopyOptions, Destination, PAGE_SIZE, Page, PageDescriptor, PagePool, PageRun, PageVector,
    Patience, SegmentList, copy,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::read::FetchedRead;
use super::{Fetches, Running, may_block, without_blocking};
use crate::conversions::errors;
use crate::data::fetch::{Called, PyFetch};
use crate::data::segments;
use crate::dispatch::asynchronous::discard;
use crate::log_queue;
use crate::threads::event_loop::{Key, Step, Work};
use crate::threads::executors::Job;
use crate::threads::gil_waiters::Request;
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

    /// Whether it is to be awaited, and calling its source takes no time to speak of.
    pub(super) fn is_asynchronous(&self) -> bool {
        self.fetch().is_asynchronous()
    }

    /// Carries it out, on an executor; or begins to, if it is to be awaited after all.
    pub(super) fn run(self) {
        // where the interpreter is ending, dropping the piece answers
        if let Some(Some((piece, data))) = thread_state::attach(|py| self.call(py)) {
            piece.finish(data);
        }
    }

    fn fetch(&self) -> &PyFetch {
        self.fetch.as_ref().expect("present until dropped").get()
    }

    /// Calls the source; `None` if the outcome comes later, or is not wanted.
    fn call(self, py: Python<'_>) -> Option<(Self, Result<SegmentList>)> {
        if !self.read.wants(self.index) {
            return None;
        }
        let data = match self.fetch().call(py) {
            Ok(Called::Returned(object)) => self.data(&object),
            Ok(Called::Awaitable(awaitable)) => match self.fetches.event_loop.start(py) {
                Ok(()) => {
                    self.await_in_loop(Some(awaitable.unbind()));
                    return None;
                }
                Err(error) => Err(self.raised(py, &error)),
            },
            Err(error) => Err(self.raised(py, &error)),
        };
        Some((self, data))
    }

    /// Has it awaited; its source is called in the loop if there is no awaitable yet.
    pub(super) fn await_in_loop(self, awaitable: Option<Py<PyAny>>) {
        let key = Key::part();
        self.read.set_awaited(self.index, key);
        let fetches = Arc::clone(&self.fetches);
        fetches.event_loop.submit(Box::new(AwaitedPiece { piece: Some(self), awaitable, key }));
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
        let interrupted = || !self.read.wants(self.index) || self.fetches.event_loop.is_ending();
        let (errno, traceback) = errors::errno_of(py, error, interrupted);
        if let Some(traceback) = traceback {
            let (name, problem) = (self.name(), errors::problem(py, error));
            log_queue::error(format!("{name} raised{problem}; answered {errno}\n{traceback}"));
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

/// A piece on its way through the event loop.
struct AwaitedPiece {
    /// Until it has come to its end.
    piece: Option<Piece>,
    /// What its source returned, if that has been called already.
    awaitable: Option<Py<PyAny>>,
    key: Key,
}

impl AwaitedPiece {
    /// The rest, which needs no GIL; an executor's, where it may block.
    fn finish<'py>(&mut self, data: Result<SegmentList>) -> Step<'py> {
        let Some(piece) = self.piece.take() else { return Step::Nothing };
        Step::Finish(Box::new(move || {
            if data.as_ref().is_ok_and(may_block) {
                let fetches = Arc::clone(&piece.fetches);
                let run = Box::new(move |_| piece.finish(data));
                fetches.executors.submit_slow(Job { request: None, run });
            } else {
                without_blocking(|| piece.finish(data));
            }
        }))
    }
}

impl Work for AwaitedPiece {
    fn key(&self) -> Key {
        self.key
    }

    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let name = self.piece.as_ref().map_or_else(String::new, Piece::name);
        PyString::new(py, &name).into_any()
    }

    fn begin<'py>(&mut self, py: Python<'py>) -> Step<'py> {
        let Some(piece) = self.piece.as_ref().filter(|piece| piece.read.wants(piece.index)) else {
            return Step::Nothing;
        };
        let called = match self.awaitable.take() {
            Some(awaitable) => Ok(Called::Awaitable(awaitable.into_bound(py))),
            None => piece.fetch().call(py),
        };
        match called {
            Ok(Called::Awaitable(awaitable)) => Step::Await(awaitable),
            Ok(Called::Returned(object)) => {
                let data = piece.data(&object);
                self.finish(data)
            }
            Err(error) => {
                let errno = piece.raised(py, &error);
                self.finish(Err(errno))
            }
        }
    }

    fn resume<'py>(&mut self, py: Python<'py>, outcome: PyResult<Bound<'py, PyAny>>) -> Step<'py> {
        let Some(piece) = &self.piece else { return Step::Nothing };
        let data = match outcome {
            Ok(result) => piece.data(&result),
            Err(error) => Err(piece.raised(py, &error)),
        };
        self.finish(data)
    }

    fn take_request(&mut self, _: &dyn Fn(&Request) -> bool) -> Option<Request> {
        // the assembly has it
        None
    }
}

impl Drop for AwaitedPiece {
    fn drop(&mut self) {
        discard(self.awaitable.take());
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
