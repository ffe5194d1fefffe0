//! The trace log: one line per operation with its answer, at debug level.
//!
//! `unique op(arguments) = answer (time)`. Names appear quoted, data by its length.
//! Nothing is formatted unless the mount asks for it and the target is enabled.

use std::fmt::Write as _;
use std::time::Duration;

use fusesg_fs::{Errno, Inode, Operation, OperationKind, Reply, Unique};

/// Target of the lines.
pub(crate) const TARGET: &str = "fusesg::trace";

pub(crate) fn enabled() -> bool {
    log::log_enabled!(target: TARGET, log::Level::Debug)
}

/// The operation's arguments as text.
pub(crate) fn describe(operation: &Operation<'_>) -> Box<str> {
    match operation {
        Operation::Write { inode, handle, offset, data, .. } => {
            format!("inode: {inode}, handle: {handle}, offset: {offset}, size: {}", data.len())
        }
        Operation::Setxattr { inode, name, value, flags } => {
            let name = name.as_encoded_bytes().escape_ascii();
            format!("inode: {inode}, name: \"{name}\", size: {}, flags: {flags}", value.len())
        }
        Operation::Ioctl { inode, handle, command, data, out_size, .. } => format!(
            "inode: {inode}, handle: {handle}, command: {command:#x}, in_size: {}, \
             out_size: {out_size}",
            data.len()
        ),
        other => arguments(&format!("{other:?}")),
    }
    .into_boxed_str()
}

/// `Read { inode: Inode(5), … }` without its name and braces.
fn arguments(debug: &str) -> String {
    let inner = debug.split_once(" { ").map_or("", |(_, rest)| rest);
    inner.strip_suffix(" }").unwrap_or(inner).to_owned()
}

/// Writes the line.
pub(crate) fn log(
    unique: Unique,
    kind: OperationKind,
    arguments: &str,
    answer: &str,
    time: Duration,
) {
    log::debug!(target: TARGET, "{unique} {kind}({arguments}) = {answer} ({time:?})");
}

/// The answer as text.
pub(crate) fn answer(result: &Result<Reply, Errno>) -> String {
    let mut text = String::new();
    let written = match result {
        Err(errno) => write!(text, "{errno}"),
        Ok(Reply::Done) => write!(text, "done"),
        // how `lookup` says that a name does not exist
        Ok(Reply::Entry(entry)) if entry.attributes.inode == Inode(0) => {
            write!(text, "no such name")
        }
        Ok(Reply::Entry(entry)) => write!(text, "inode {}", entry.attributes.inode),
        Ok(Reply::Created(entry, opened)) => {
            write!(text, "inode {}, handle {}", entry.attributes.inode, opened.handle)
        }
        Ok(Reply::Attributes(reply)) => {
            let attributes = &reply.attributes;
            write!(text, "mode {:o}, size {}", attributes.mode(), attributes.size)
        }
        Ok(Reply::Target(target)) => write!(text, "{}", target.escape_ascii()),
        Ok(Reply::Opened(opened)) => write!(text, "handle {}", opened.handle),
        Ok(Reply::Data(list)) => {
            write!(text, "{} bytes in {} segments", list.len(), list.segments().len())
        }
        Ok(Reply::Xattr(value)) => write!(text, "{} bytes", value.len()),
        Ok(Reply::Ioctl { result, data }) => write!(text, "{result}, {} bytes", data.len()),
        Ok(other) => write!(text, "{other:?}"),
    };
    written.map_or_else(|_| String::new(), |()| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusesg_fs::Handle;
    use std::borrow::Cow;

    #[test]
    fn data_is_told_by_its_length() {
        let write = Operation::Write {
            inode: Inode(3),
            handle: Handle(4),
            offset: 5,
            data: Cow::Borrowed(b"secret"),
            flags: 0,
            lock_owner: None,
            from_cache: false,
            kill_suid_sgid: false,
        };
        assert_eq!(&*describe(&write), "inode: 3, handle: 4, offset: 5, size: 6");
        let readlink = Operation::Readlink { inode: Inode(9) };
        assert_eq!(&*describe(&readlink), "inode: Inode(9)");
    }
}
