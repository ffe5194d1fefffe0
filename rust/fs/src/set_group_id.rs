//! Who keeps a set-group-id bit: what the native file systems have in common.

use std::fs;

use crate::Context;

/// `mode` of a file of group `gid` after a change by `context`, as to set-group-id.
pub(crate) fn without_set_group_id(context: &Context, mode: u32, gid: u32) -> u32 {
    if mode & libc::S_ISGID == 0 || (mode & libc::S_IXGRP == 0 && is_in_group(context, gid)) {
        mode
    } else {
        mode & !libc::S_ISGID
    }
}

/// Whether the caller is root or in group `gid`; a caller that is gone is not.
pub(crate) fn is_in_group(context: &Context, gid: u32) -> bool {
    if context.uid == 0 || context.gid == gid {
        return true;
    }
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", context.pid)) else {
        return false;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("Groups:"))
        .is_some_and(|groups| groups.split_whitespace().any(|group| group.parse() == Ok(gid)))
}
