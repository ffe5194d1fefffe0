//! Where others ask for the numbers of a mount, while it serves or hangs.
//!
//! ```text
//!  fusesg top ──► abstract socket, named by the device ─┐
//!                                                       ├─► a thread of its own ──► Reporter
//!  Prometheus ──► TCP, where the mount's settings say ──┘    without the GIL, without fuser
//! ```
//! Both speak HTTP: `/statistics` is JSON, `/metrics` is what Prometheus reads.
//!
//! A socket rather than a question to the mount itself (an ioctl, a hidden attribute of the
//! root): that would need a reader, and whoever looks at a mount does so when the readers are
//! stuck. Its name is abstract, so that nothing is left behind by `kill -9`; whoever asks
//! is told by the kernel who answers, and the other way round.
//!
//! | concept | file |
//! |---|---|
//! | [`Endpoint`]: a socket and its thread | `mod.rs` |
//! | questions and answers | `http.rs` |
//! | the two kinds of sockets | `listener.rs` |

mod http;
mod listener;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use crate::fork::NotInherited;
use crate::report::{MEDIA_TYPE, Reporter};
use http::Answer;
use listener::Listener;

/// How long a question may take to come, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a connection could not be accepted: for want of descriptors, as a rule.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that are kept open after a refusal. An answer to somebody who still writes
/// is lost if the connection is closed, and nobody waits for those who may not ask.
const REFUSED: usize = 8;

/// Answers questions until dropped.
pub(crate) struct Endpoint {
    shared: Arc<Shared>,
    /// The socket; shutting it down wakes the thread.
    socket: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    not_inherited: Option<[NotInherited; 2]>,
}

#[derive(Debug, Default)]
struct Shared {
    ends: AtomicBool,
    /// Who is being answered.
    current: Mutex<Option<OwnedFd>>,
}

impl Endpoint {
    /// For `fusesg top` and its like: users who may ask are the server's own and root.
    pub(crate) fn local(minor: u32, reporter: Arc<Reporter>) -> io::Result<Self> {
        Self::start(listener::local(minor)?, reporter)
    }

    /// For Prometheus, at an address where anybody may ask.
    pub(crate) fn open(listening: Listening, reporter: Arc<Reporter>) -> io::Result<Self> {
        Self::start(listening.listener, reporter)
    }

    fn start(listener: impl Listener, reporter: Arc<Reporter>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let socket = listener.as_fd().try_clone_to_owned()?;
        let not_inherited =
            [NotInherited::new(listener.as_fd()), NotInherited::new(socket.as_fd())];
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("fusesg-numbers".into())
            .spawn(move || for_thread.serve(&listener, &reporter))?;
        let (socket, thread) = (Some(socket), Some(thread));
        Ok(Self { shared, socket, thread, not_inherited: Some(not_inherited) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // before the number of its descriptor may be another's
        drop(self.not_inherited.take());
        let current = self.shared.current.lock().take();
        for socket in self.socket.take().into_iter().chain(current) {
            shut_down(socket, Shutdown::Both);
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a thread that tells the numbers of a mount panicked");
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Whoever waits for something from the socket waits no longer, also if a forked child has it.
fn shut_down(socket: OwnedFd, how: Shutdown) {
    // that it is of a certain family does not matter to shutdown(2)
    let _ = UnixStream::from(socket).shutdown(how);
}

impl Shared {
    fn serve<L: Listener>(&self, listener: &L, reporter: &Reporter) {
        let mut refused = VecDeque::with_capacity(REFUSED);
        while !self.ends.load(Ordering::SeqCst) {
            let Ok(mut stream) = listener.accept() else {
                // shut down; or without a descriptor to spare, which will pass
                if !self.ends.load(Ordering::SeqCst) {
                    thread::sleep(PAUSE);
                }
                continue;
            };
            if let Some(line) = listener.refusal(&stream) {
                if refused.len() == REFUSED {
                    refused.pop_front();
                }
                if refuse::<L>(&mut stream, &line).is_ok() {
                    refused.push_back(stream);
                }
                continue;
            }
            *self.current.lock() = stream.as_fd().try_clone_to_owned().ok();
            if !self.ends.load(Ordering::SeqCst) {
                // whoever has gone away does not miss the answer
                let conversation = || converse::<L>(&mut stream, reporter);
                if catch_unwind(AssertUnwindSafe(conversation)).is_err() {
                    log::error!("telling the numbers of a mount panicked");
                }
            }
            if let Some(current) = self.current.lock().take() {
                shut_down(current, Shutdown::Both);
            }
        }
    }
}

/// Answers without having heard the question.
fn refuse<L: Listener>(stream: &mut L::Stream, line: &str) -> io::Result<()> {
    let limits = stream.as_fd().try_clone_to_owned().map(L::Stream::from)?;
    let limit = |left| L::limit(&limits, left);
    Answer::error("403 Forbidden", line).send(stream, false, PATIENCE, limit)?;
    shut_down(stream.as_fd().try_clone_to_owned()?, Shutdown::Write);
    Ok(())
}

fn converse<L: Listener>(stream: &mut L::Stream, reporter: &Reporter) -> io::Result<()> {
    let limits = stream.as_fd().try_clone_to_owned().map(L::Stream::from)?;
    let limit = |left| L::limit(&limits, left);
    match http::read(stream, PATIENCE, limit) {
        None => Ok(()),
        Some(Err(refused)) => refused.send(stream, false, PATIENCE, limit),
        Some(Ok(question)) => {
            let answer = answer(&question.path, reporter);
            answer.send(stream, question.head_only, PATIENCE, limit)
        }
    }
}

fn answer(path: &str, reporter: &Reporter) -> Answer {
    if !reporter.is_served() {
        // another mount may have the device by now, and its socket the next name
        return Answer::error("410 Gone", "the mount has ended");
    }
    let (media_type, text) = match path {
        "/statistics" => ("application/json", format!("{}\n", reporter.numbers())),
        "/metrics" => (MEDIA_TYPE, reporter.exposition()),
        _ => return Answer::error("404 Not Found", "there are /metrics and /statistics"),
    };
    Answer { status: "200 OK", media_type, text }
}

/// A socket at which nobody is answered yet.
#[derive(Debug)]
pub(crate) struct Listening {
    // before the number of its descriptor may be another's
    _not_inherited: NotInherited,
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

/// Listens where the settings of a mount say.
pub(crate) fn listen(address: &str) -> io::Result<Listening> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    Ok(Listening { _not_inherited: NotInherited::new(listener.as_fd()), listener, address })
}
