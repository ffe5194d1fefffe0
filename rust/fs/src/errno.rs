//! Why an operation failed, in the kernel's terms.

use std::fmt;
use std::io;

/// An error number of errno(3), always in 1..=511 (what the kernel takes in a reply).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(i32);

macro_rules! errnos {
    ($($name:ident),* $(,)?) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "` of errno(3).")]
                pub const $name: Self = Self(libc::$name);
            )*

            /// The symbolic name, or `None` for a number this table does not list.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $(libc::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    E2BIG, EACCES, EAGAIN, EBADF, EBUSY, EDEADLK, EDOM, EEXIST, EFAULT, EFBIG, EINTR, EINVAL, EIO, EISDIR,
    ELOOP, EMFILE, EMLINK, EMSGSIZE, ENAMETOOLONG, ENFILE, ENODATA, ENODEV, ENOENT, ENOEXEC,
    ENOLCK, ENOMEM, ENOSPC, ENOSYS, ENOTCONN, ENOTDIR, ENOTEMPTY, ENOTSUP, ENOTTY, ENXIO,
    EOVERFLOW, EPERM, EPIPE, EPROTO, EDQUOT, ERANGE, EROFS, ESPIPE, ESRCH, ESTALE, ETIMEDOUT,
    ETXTBSY, EXDEV, ECANCELED, ECONNABORTED,
}

impl Errno {
    /// The largest number the kernel accepts in a reply.
    pub const MAX: i32 = 511;

    /// `number` as an errno; `None` if the kernel would refuse it in a reply.
    pub fn new(number: i32) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The error number, positive.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The calling thread's last system call error.
    pub fn last() -> Self {
        io::Error::last_os_error().into()
    }
}

impl From<io::Error> for Errno {
    /// The error's errno; EIO for an error that did not come from the system.
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Self::new(number).unwrap_or(Self::EIO),
            None if error.kind() == io::ErrorKind::OutOfMemory => Self::ENOMEM,
            None => Self::EIO,
        }
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl std::error::Error for Errno {}
