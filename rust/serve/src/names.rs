//! Which names a file system is asked for, and which it may list.
//!
//! The kernel checks most of this; a file system may rely on all of it. What the kernel lets
//! through is length: it would look up and create names of up to 4095 bytes, which no listing
//! can show, since programs size their buffers by `NAME_MAX`.

use std::ffi::OsStr;

use fusesg_fs::{Errno, Operation, Result};

/// Bytes of the longest name in a directory.
const NAME_MAX: usize = 255;

/// Refuses an operation with a name that no file can have.
pub(crate) fn check(operation: &Operation<'_>) -> Result<()> {
    match operation {
        Operation::Lookup { name, .. }
        | Operation::Mknod { name, .. }
        | Operation::Mkdir { name, .. }
        | Operation::Unlink { name, .. }
        | Operation::Rmdir { name, .. }
        | Operation::Create { name, .. }
        | Operation::Link { new_name: name, .. } => check_name(name),
        Operation::Rename { name, new_name, .. } => check_name(name).and(check_name(new_name)),
        Operation::Symlink { name, target, .. } => check_name(name).and(check_text(target)),
        Operation::Setxattr { name, .. }
        | Operation::Getxattr { name, .. }
        | Operation::Removexattr { name, .. } => check_text(name),
        _ => Ok(()),
    }
}

fn check_name(name: &OsStr) -> Result<()> {
    if name == "." || name == ".." || !is_component(name) {
        return Err(Errno::EINVAL);
    }
    if is_too_long(name) { Err(Errno::ENAMETOOLONG) } else { Ok(()) }
}

fn check_text(text: &OsStr) -> Result<()> {
    let is_text = !text.is_empty() && !text.as_encoded_bytes().contains(&0);
    if is_text { Ok(()) } else { Err(Errno::EINVAL) }
}

/// What is wrong with a name in a listing, which may be `.` or `..`; `None` if nothing is.
pub(crate) fn wrong_in_listing(name: &OsStr) -> Option<String> {
    let shown = || name.as_encoded_bytes().escape_ascii();
    if !is_component(name) {
        Some(format!("the impossible name {}", shown()))
    } else if is_too_long(name) {
        Some(format!("a name of {} bytes, {NAME_MAX} are allowed: {}", name.len(), shown()))
    } else {
        None
    }
}

/// Whether it can be one component of a path.
fn is_component(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_encoded_bytes().iter().any(|byte| matches!(byte, 0 | b'/'))
}

fn is_too_long(name: &OsStr) -> bool {
    name.len() > NAME_MAX
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use fusesg_fs::{Inode, RenameFlags};

    use super::*;

    fn lookup(name: &str) -> Result<()> {
        check(&Operation::Lookup { parent: Inode::ROOT, name: Cow::Borrowed(OsStr::new(name)) })
    }

    #[test]
    fn names_have_one_to_255_bytes_and_no_slash() {
        assert_eq!(lookup("a"), Ok(()));
        assert_eq!(lookup(&"x".repeat(255)), Ok(()));
        assert_eq!(lookup(&"x".repeat(256)), Err(Errno::ENAMETOOLONG));
        assert_eq!(lookup(&"ä".repeat(128)), Err(Errno::ENAMETOOLONG));
        for name in ["", ".", "..", "a/b", "a\0b"] {
            assert_eq!(lookup(name), Err(Errno::EINVAL), "{name:?}");
        }
    }

    #[test]
    fn both_names_of_a_rename_are_checked() {
        let long = "x".repeat(256);
        for (name, new_name) in [("a", long.as_str()), (long.as_str(), "a")] {
            let refused = check(&Operation::Rename {
                parent: Inode::ROOT,
                name: Cow::Borrowed(OsStr::new(name)),
                new_parent: Inode::ROOT,
                new_name: Cow::Borrowed(OsStr::new(new_name)),
                flags: RenameFlags::empty(),
            });
            assert_eq!(refused, Err(Errno::ENAMETOOLONG));
        }
    }

    #[test]
    fn a_listing_may_have_dots_and_no_long_names() {
        let wrong = |name: &str| wrong_in_listing(OsStr::new(name));
        assert_eq!(wrong("."), None);
        assert_eq!(wrong(&"x".repeat(255)), None);
        assert!(wrong(&"x".repeat(256)).is_some_and(|text| text.starts_with("a name of 256")));
        assert!(wrong("a/b").is_some());
    }
}
