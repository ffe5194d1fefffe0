//! Who may do what, by mode and owner: what the kernel checks with `default_permissions`.
//!
//! Access ACLs are not looked at.

use bitflags::bitflags;
use fusesg_fs::{Attributes, Errno, FileType, Result, SetAttributes, SetTime};

use super::session::Session;

bitflags! {
    /// What a caller wants to do with a file: the bits of access(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Access: u32 {
        const EXECUTE = 1;
        const WRITE = 2;
        const READ = 4;
    }
}

const STICKY: u16 = 0o1000;

impl Session {
    /// EACCES where the mode does not allow it.
    pub(super) fn check_access(&self, attributes: &Attributes, wanted: Access) -> Result<()> {
        if self.config.default_permissions { self.may(attributes, wanted) } else { Ok(()) }
    }

    /// The check itself, for access(2) also where the kernel would leave it to the file system.
    pub(super) fn may(&self, attributes: &Attributes, wanted: Access) -> Result<()> {
        if self.config.uid == 0 {
            // root may everything, but execute only what anybody may execute
            let executes = wanted.contains(Access::EXECUTE)
                && attributes.kind != FileType::Directory
                && attributes.permissions & 0o111 == 0;
            return if executes { Err(Errno::EACCES) } else { Ok(()) };
        }
        let shift = if self.config.uid == attributes.uid {
            6
        } else if self.is_member_of(attributes.gid) {
            3
        } else {
            0
        };
        let granted = Access::from_bits_truncate(u32::from(attributes.permissions >> shift) & 7);
        if granted.contains(wanted) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether a name may be taken out of `directory`.
    pub(super) fn check_removal(&self, directory: &Attributes, victim: &Attributes) -> Result<()> {
        self.check_access(directory, Access::WRITE | Access::EXECUTE)?;
        let protected = self.config.default_permissions
            && directory.permissions & STICKY != 0
            && !self.owns(victim)
            && !self.owns(directory);
        if protected { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Whether attributes may be changed.
    pub(super) fn check_changes(&self, of: &Attributes, changes: &SetAttributes) -> Result<()> {
        if !self.config.default_permissions || self.config.uid == 0 {
            return Ok(());
        }
        let owns = self.owns(of);
        let keeps_owner = changes.uid.is_none_or(|uid| uid == of.uid && owns);
        let may_have_group = |gid: u32| owns && (gid == of.gid || self.is_member_of(gid));
        let sets_times = [changes.atime, changes.mtime];
        let explicit = sets_times.iter().any(|time| matches!(time, Some(SetTime::At(_))))
            || sets_times.iter().filter(|time| time.is_some()).count() == 1;
        if !keeps_owner
            || changes.gid.is_some_and(|gid| !may_have_group(gid))
            || ((changes.mode.is_some() || explicit) && !owns)
        {
            return Err(Errno::EPERM);
        }
        let now = sets_times.contains(&Some(SetTime::Now));
        if changes.size.is_some() || (now && !owns) {
            return self.may(of, Access::WRITE);
        }
        Ok(())
    }

    fn owns(&self, attributes: &Attributes) -> bool {
        self.config.uid == 0 || self.config.uid == attributes.uid
    }

    fn is_member_of(&self, group: u32) -> bool {
        self.config.gid == group || self.config.groups.contains(&group)
    }
}
