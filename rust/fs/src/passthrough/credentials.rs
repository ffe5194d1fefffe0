//! Whose name the thread acts in while it creates something or strips privileges.
//!
//! The kernel checked the caller's rights already, with the caller's real groups
//! (`default_permissions`), so everything else runs with the daemon's own rights. Two things
//! need more:
//!
//! * what is created belongs to the caller: the thread takes the caller's fsuid and fsgid;
//! * a backing file system clears set-user-id and set-group-id on write and truncate only
//!   for a thread without CAP_FSETID: the thread gives it up for that call.
//!
//! Taking another fsuid costs the thread its file system capabilities; they are given back
//! at once, since the caller's *supplementary* groups are not known here and what they
//! allow must not fail. All of it is per thread and undone on drop. A daemon that may not
//! switch ids (not root) acts as itself.

use std::io;
use std::marker::PhantomData;

use super::sys::{self, Capabilities};
use crate::{Context, Errno, Result};

const CAP_FSETID: u64 = 1 << 4;
const CAP_SETGID: u64 = 1 << 6;
const CAP_SETUID: u64 = 1 << 7;
/// For setfsuid and setfsgid: tells the current id and changes nothing.
const ASK: u32 = u32::MAX;

/// The daemon's own credentials.
#[derive(Debug)]
pub(super) struct Credentials {
    uid: u32,
    gid: u32,
    capabilities: Capabilities,
}

impl Credentials {
    /// Those of the calling thread; the serving threads inherit the same.
    pub(super) fn current() -> io::Result<Self> {
        Ok(Self {
            uid: sys::setfsuid(ASK),
            gid: sys::setfsgid(ASK),
            capabilities: sys::capabilities()?,
        })
    }

    /// Acts as the caller, with the daemon's capabilities: what is created is the caller's.
    pub(super) fn as_caller(&self, context: &Context) -> Result<Guard<'_>> {
        self.switch(Some((context.uid, context.gid)), self.capabilities.effective)
    }

    /// Acts as the daemon such that a change of a file's content clears set-id bits, as a
    /// member of the file's group: a set-group-id bit without group-execute stays.
    pub(super) fn stripping(&self, file_gid: u32) -> Result<Guard<'_>> {
        self.switch(Some((self.uid, file_gid)), self.capabilities.effective & !CAP_FSETID)
    }

    fn may_switch(&self) -> bool {
        self.capabilities.effective & (CAP_SETUID | CAP_SETGID) == CAP_SETUID | CAP_SETGID
    }

    fn switch(&self, ids: Option<(u32, u32)>, effective: u64) -> Result<Guard<'_>> {
        let (uid, gid) = match ids {
            Some(ids) if self.may_switch() => ids,
            _ => (self.uid, self.gid),
        };
        let mut guard = Guard {
            own: self,
            gid: gid != self.gid,
            uid: uid != self.uid,
            capabilities: uid != self.uid || effective != self.capabilities.effective,
            thread: PhantomData,
        };
        if guard.gid {
            sys::setfsgid(gid);
        }
        if guard.uid {
            sys::setfsuid(uid);
        }
        // an id without a place in our user namespace is refused silently
        let refused =
            (guard.gid && sys::setfsgid(ASK) != gid) || (guard.uid && sys::setfsuid(ASK) != uid);
        if refused {
            return Err(Errno::EOVERFLOW);
        }
        if guard.capabilities
            && let Err(error) = sys::set_effective_capabilities(&self.capabilities, effective)
        {
            guard.capabilities = guard.uid;
            return Err(error.into());
        }
        Ok(guard)
    }
}

/// Gives the thread its own credentials back when dropped.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    own: &'a Credentials,
    uid: bool,
    gid: bool,
    capabilities: bool,
    /// Credentials belong to the thread that changed them: neither Send nor Sync.
    thread: PhantomData<*const ()>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.uid {
            sys::setfsuid(self.own.uid);
        }
        if self.gid {
            sys::setfsgid(self.own.gid);
        }
        if self.capabilities {
            let own = &self.own.capabilities;
            if let Err(error) = sys::set_effective_capabilities(own, own.effective) {
                // fewer capabilities than before: operations fail, but none gains a right
                log::error!("this thread lost its capabilities: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gid: u32) -> Context {
        Context { uid, gid, ..Context::default() }
    }

    fn now() -> (u32, u32, u64) {
        let effective = sys::capabilities().unwrap().effective;
        (sys::setfsuid(ASK), sys::setfsgid(ASK), effective)
    }

    #[test]
    fn switches_and_returns() {
        let own = Credentials::current().unwrap();
        assert!(own.may_switch(), "run as root");
        let before = now();
        {
            let _guard = own.as_caller(&caller(1000, 1001)).unwrap();
            assert_eq!(now(), (1000, 1001, before.2));
        }
        assert_eq!(now(), before);
        {
            let _guard = own.stripping(77).unwrap();
            assert_eq!(now(), (before.0, 77, before.2 & !CAP_FSETID));
        }
        assert_eq!(now(), before);
    }

    #[test]
    fn does_nothing_for_a_daemon_that_may_not_switch() {
        let own = Credentials::current().unwrap();
        let effective = own.capabilities.effective & !CAP_SETUID;
        let weak =
            Credentials { capabilities: Capabilities { effective, ..own.capabilities }, ..own };
        let guard = weak.switch(Some((1000, 1000)), effective).unwrap();
        assert!(!guard.uid && !guard.gid && !guard.capabilities);
    }
}
