//! The two kinds of sockets at which numbers are asked for.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

use crate::sys;

/// Names that are tried for one device. Its number goes to the next mount as soon as this one
/// is gone, and then the thread that served the first may not have closed its socket yet.
const NAMES: u32 = 8;

/// A socket that others connect to.
pub(super) trait Listener: AsFd + Send + 'static {
    type Stream: Read + Write + AsFd + From<OwnedFd>;

    /// The next one who asks.
    fn accept(&self) -> io::Result<Self::Stream>;

    /// How long reading and writing may take.
    fn limit(stream: &Self::Stream, time: Duration) -> io::Result<()>;

    /// Why whoever is at the other end is not answered.
    fn refusal(&self, stream: &Self::Stream) -> Option<String>;
}

/// A socket of the mount with this device: `@fusesg/57`, or `@fusesg/57.1` and so on.
pub(super) fn local(minor: u32) -> io::Result<UnixListener> {
    let mut name = format!("fusesg/{minor}");
    for number in 1.. {
        match UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && number < NAMES => {
                name = format!("fusesg/{minor}.{number}");
            }
            other => return other,
        }
    }
    unreachable!("the last name that is tried is returned, or its error");
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    fn accept(&self) -> io::Result<UnixStream> {
        Self::accept(self).map(|(stream, _)| stream)
    }

    fn limit(stream: &UnixStream, time: Duration) -> io::Result<()> {
        stream.set_read_timeout(Some(time))?;
        stream.set_write_timeout(Some(time))
    }

    fn refusal(&self, stream: &UnixStream) -> Option<String> {
        let own = sys::effective_user_and_group().0;
        match sys::peer_of(stream.as_fd()) {
            Ok((user, _)) if user == own || user == 0 => None,
            Ok(_) => Some(format!("only root and the user with the number {own} may ask")),
            Err(error) => Some(format!("who asks cannot be found out: {error}")),
        }
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).map(|(stream, _)| stream)
    }

    fn limit(stream: &TcpStream, time: Duration) -> io::Result<()> {
        stream.set_read_timeout(Some(time))?;
        stream.set_write_timeout(Some(time))
    }

    fn refusal(&self, _: &TcpStream) -> Option<String> {
        None
    }
}
