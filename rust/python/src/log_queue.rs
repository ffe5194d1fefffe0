//! Log records on their way to Python's `logging`.
//!
//! Records of the Rust side (`log` facade) and tracebacks of callbacks are queued here; a
//! Python thread takes them out with `_core.next_log_record` and hands them to
//! `logging.getLogger("fusesg")`. A handler that blocks, or writes into the mount, holds
//! up that thread only. The queue is bounded: what does not fit is counted and the count
//! is logged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fusesg_serve::{Condvar, GENERATIONS, PerProcess};
use log::{Level, LevelFilter, Log, Metadata};
use parking_lot::Mutex;
use pyo3::prelude::*;

/// Records that may wait.
const CAPACITY: usize = 1024;

/// Of this process: what the parent has not reported yet is for the parent to report.
static QUEUE: PerProcess<Mutex<Queue>> =
    PerProcess::new([const { Mutex::new(Queue::new()) }; GENERATIONS]);
static ADDED: PerProcess<Condvar> = PerProcess::new([const { Condvar::new() }; GENERATIONS]);
static HANDED_OVER: PerProcess<Condvar> = PerProcess::new([const { Condvar::new() }; GENERATIONS]);

struct Queue {
    records: VecDeque<Record>,
    dropped: u64,
    closed: bool,
    /// Its reader has handed over all that it took, and waits for more.
    reader_waits: bool,
}

impl Queue {
    const fn new() -> Self {
        Self { records: VecDeque::new(), dropped: 0, closed: false, reader_waits: false }
    }

    fn is_handed_over(&self) -> bool {
        self.records.is_empty() && self.dropped == 0 && self.reader_waits
    }
}

struct Record {
    level: Level,
    target: String,
    message: String,
}

/// Installs the queue as the process's logger. A logger that an embedding program has
/// installed before stays, and gets the records.
pub(crate) fn install() {
    if log::set_logger(&FORWARDER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Lets records of `level` and above through, of this library's own modules.
pub(crate) fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Queues an error: of a callback, with its traceback.
pub(crate) fn error(message: String) {
    push(Level::Error, "fusesg", message);
}

/// A record as Python gets it: level (a number of `logging`), target, message.
type PythonRecord = (u8, String, String);

/// The next log record, or None when `timeout` seconds (None: no limit) pass without one,
/// or at once when the queue is closed and empty.
#[pyfunction]
#[pyo3(signature = (timeout = None))]
pub(crate) fn next_log_record(py: Python<'_>, timeout: Option<f64>) -> Option<PythonRecord> {
    let deadline = timeout
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
        .and_then(|timeout| Instant::now().checked_add(timeout));
    py.detach(|| next(deadline))
}

/// Ends the wait of whoever reads the queue, once it is empty. For the end of the
/// interpreter: what is logged later finds no reader.
#[pyfunction]
pub(crate) fn close_log_queue() {
    QUEUE.lock().closed = true;
    ADDED.notify_all();
}

/// Waits until whoever reads the queue without a timeout has handed over what is in it; False
/// when `timeout` seconds pass first.
#[pyfunction]
pub(crate) fn flush_log_queue(py: Python<'_>, timeout: f64) -> bool {
    let deadline = Instant::now() + Duration::from_secs_f64(timeout.max(0.0));
    py.detach(|| {
        let mut queue = QUEUE.lock();
        while !queue.is_handed_over() {
            if HANDED_OVER.wait_until(&mut queue, deadline).timed_out() {
                return queue.is_handed_over();
            }
        }
        true
    })
}

/// Sets the least severe level, a number of Python's `logging`, that is passed on.
#[pyfunction]
pub(crate) fn set_log_level(level: u8) {
    set_level(match level {
        0..=9 => LevelFilter::Trace,
        10..=19 => LevelFilter::Debug,
        20..=29 => LevelFilter::Info,
        30..=39 => LevelFilter::Warn,
        40..=50 => LevelFilter::Error,
        _ => LevelFilter::Off,
    });
}

fn next(deadline: Option<Instant>) -> Option<PythonRecord> {
    let mut queue = QUEUE.lock();
    loop {
        if let Some(record) = queue.records.pop_front() {
            return Some(record.into_python());
        }
        if queue.dropped > 0 {
            let dropped = std::mem::take(&mut queue.dropped);
            let message = format!("{dropped} log records were dropped: the queue was full");
            return Some((python_level(Level::Warn), "fusesg".into(), message));
        }
        if queue.closed {
            return None;
        }
        if let Some(deadline) = deadline {
            if ADDED.wait_until(&mut queue, deadline).timed_out() && queue.records.is_empty() {
                return None;
            }
        } else {
            queue.reader_waits = true;
            HANDED_OVER.notify_all();
            ADDED.wait(&mut queue);
            queue.reader_waits = false;
        }
    }
}

fn push(level: Level, target: &str, message: String) {
    let record = Record { level, target: target.into(), message };
    let mut queue = QUEUE.lock();
    if queue.records.len() < CAPACITY {
        queue.records.push_back(record);
        ADDED.notify_one();
    } else {
        queue.dropped += 1;
    }
}

impl Record {
    fn into_python(self) -> PythonRecord {
        (python_level(self.level), self.target, self.message)
    }
}

fn python_level(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

struct Forwarder;

static FORWARDER: Forwarder = Forwarder;

impl Log for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("fusesg") || metadata.target() == "_core";
        ours || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) && !fusesg_serve::log_record_is_expected(record) {
            push(record.level(), record.target(), record.args().to_string());
        }
    }

    fn flush(&self) {}
}
