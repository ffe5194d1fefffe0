//! Files that their caller opened with O_DIRECT.
//!
//! Without a word from us the kernel sends their I/O through the machinery of asynchronous
//! direct I/O, also where the caller waits for each call, and writes to one file one at a
//! time. An open that is answered FOPEN_DIRECT_IO goes a shorter way: a serial read or write
//! of 4 KiB costs a few per cent less, and writes that do not extend the file run at the same
//! time.

use fusesg_fs::{OpenedFlags, Properties};

/// What to add to the answer to an open(2) with `flags`.
pub(super) fn added_flags(flags: i32, properties: &Properties) -> OpenedFlags {
    // On the short way the kernel does not clear set-id bits before a write; it asks the file
    // system to do so with the write.
    let keeps_privileges_right =
        properties.clears_privileges || flags & libc::O_ACCMODE == libc::O_RDONLY;
    if flags & libc::O_DIRECT != 0 && keeps_privileges_right {
        OpenedFlags::DIRECT_IO | OpenedFlags::PARALLEL_DIRECT_WRITES
    } else {
        OpenedFlags::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_direct_io_gets_it() {
        let honest = Properties { clears_privileges: true, ..Properties::default() };
        let both = OpenedFlags::DIRECT_IO | OpenedFlags::PARALLEL_DIRECT_WRITES;
        assert_eq!(added_flags(libc::O_RDWR | libc::O_DIRECT, &honest), both);
        assert_eq!(added_flags(libc::O_RDWR, &honest), OpenedFlags::empty());
    }

    #[test]
    fn the_kernel_clears_set_id_bits_where_the_file_system_does_not() {
        let plain = Properties::default();
        assert!(added_flags(libc::O_WRONLY | libc::O_DIRECT, &plain).is_empty());
        assert!(!added_flags(libc::O_RDONLY | libc::O_DIRECT, &plain).is_empty());
    }
}
