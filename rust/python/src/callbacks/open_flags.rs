//! The flags of an open as a class gets them: those with which it may open a file of its own.
//!
//! They were meant for the mount. Some of them the kernel has acted upon when the class is
//! asked, and for the file behind they would be wrong. `ctx.open_flags` has them all.

/// The flags for the class; with `writeback` the kernel collects what is written.
pub(super) fn for_class(flags: i32, writeback: bool) -> i32 {
    // The buffers of read and write are not aligned. And the name was followed already, or
    // not; a link of /proc/self/fd to what was found is one to be followed.
    let mut kept = flags & !(libc::O_DIRECT | libc::O_NOFOLLOW);
    if writeback {
        // what comes late has a place, which may no longer be the end
        kept &= !libc::O_APPEND;
        if kept & libc::O_ACCMODE == libc::O_WRONLY {
            // the kernel reads a page to write a part of it
            kept = kept & !libc::O_ACCMODE | libc::O_RDWR;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use libc::{
        O_APPEND, O_CREAT, O_DIRECT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC,
    };

    use super::*;

    #[test]
    fn what_concerns_the_mount_alone_is_left_out() {
        let kept = libc::O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_TRUNC | O_SYNC;
        assert_eq!(for_class(kept | O_DIRECT | O_NOFOLLOW, false), kept);
    }

    #[test]
    fn the_writeback_cache_reads_and_says_where_to_append() {
        assert_eq!(for_class(libc::O_WRONLY | O_APPEND | O_SYNC, true), O_RDWR | O_SYNC);
        assert_eq!(for_class(O_RDWR | O_APPEND, true), O_RDWR);
        assert_eq!(for_class(O_RDONLY | O_DIRECT, true), O_RDONLY);
    }
}
