//! Requests that wait for themselves.
//!
//! Until a request is answered the kernel holds locks: on the pages that are to be read, on the
//! file that is written or changed, on the directory in which a name is made. A callback that
//! uses that very file through the mount waits for the lock, and so for its own answer; no
//! request arrives that would tell, and no signal ends that wait.
//!
//! What tells is `/proc/self/task/THREAD/syscall`: in which call, with which descriptor, the
//! thread is blocked that carries a request out. Such a request waits for those that hold the
//! locks which the call needs; or, if its thread has a request of its own in flight, for that
//! one. A request that so waits for itself, through however many others, will never be answered.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::time::{Duration, Instant};

use fusesg_fs::{Inode, OperationKind, Unique};

use crate::in_flight::{InFlight, Pending};

/// Age from which a request is looked at.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two looks; a thread has to be found in the same call by both.
const PERIOD: Duration = Duration::from_millis(500);
/// What the kernel locks of a file's content.
const PAGE: u64 = fusesg_sg::PAGE_SIZE as u64;

/// Finds requests of one mount that wait for themselves.
#[derive(Debug)]
pub(crate) struct Deadlocks {
    /// The mount, as `/proc/self/fdinfo` numbers it.
    mount: u64,
    looked: Instant,
    /// The calls in which threads were found, by the request that they carry out.
    found: HashMap<Unique, String>,
}

impl Deadlocks {
    pub(crate) fn of_mount(mount: u64) -> Self {
        Self { mount, looked: Instant::now(), found: HashMap::new() }
    }

    /// A request that waits for itself, if there is one.
    pub(crate) fn look(&mut self, in_flight: &InFlight) -> Option<Pending> {
        if self.looked.elapsed() < PERIOD {
            return None;
        }
        self.looked = Instant::now();
        let pending: Vec<_> = in_flight.pending().collect();
        let calling: HashSet<_> = pending.iter().map(|request| request.pid).collect();
        let mut found = HashMap::new();
        let mut blocked = Vec::new();
        for request in pending.into_iter().filter(|request| request.thread != 0) {
            if request.age >= PATIENCE && !calling.contains(&request.thread) {
                let thread = format!("/proc/self/task/{}/syscall", request.thread);
                let Ok(call) = fs::read_to_string(thread) else { continue };
                if self.found.get(&request.unique) == Some(&call) {
                    let file = |descriptor| OpenFile::of_mount(self.mount, descriptor);
                    blocked.push((request, uses(&call, file)));
                }
                found.insert(request.unique, call);
            } else {
                blocked.push((request, Vec::new()));
            }
        }
        self.found = found;
        waits_for_itself(&blocked)
    }
}

/// Whether a file is locked as a whole until a request of this kind is answered.
fn changes_file(kind: OperationKind) -> bool {
    use OperationKind as Kind;
    matches!(kind, Kind::Write | Kind::Setattr | Kind::Fallocate | Kind::Fsync)
}

/// Whether a directory is.
fn changes_directory(kind: OperationKind) -> bool {
    use OperationKind as Kind;
    matches!(
        kind,
        Kind::Create
            | Kind::Mknod
            | Kind::Mkdir
            | Kind::Symlink
            | Kind::Link
            | Kind::Unlink
            | Kind::Rmdir
            | Kind::Rename
    )
}

/// The first of these requests that leads to itself: each waits for those that its thread has
/// made, and for those that hold what the thread needs.
fn waits_for_itself(blocked: &[(Pending, Vec<Use>)]) -> Option<Pending> {
    let waits_for = |index: usize| {
        let (request, uses) = &blocked[index];
        (0..blocked.len()).filter(move |other| {
            let (other, _) = &blocked[*other];
            other.pid == request.thread || uses.iter().any(|use_| use_.needs(other))
        })
    };
    let first = (0..blocked.len()).find(|first| {
        let mut reached = HashSet::new();
        let mut to_visit: Vec<_> = waits_for(*first).collect();
        while let Some(request) = to_visit.pop() {
            if reached.insert(request) {
                to_visit.extend(waits_for(request));
            }
        }
        reached.contains(first)
    });
    first.map(|first| blocked[first].0)
}

/// What a blocked system call needs of a file of the mount.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    inode: Inode,
    lock: Lock,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lock {
    /// Pages that hold these bytes.
    Pages(Range<u64>),
    /// The file, and pages that hold these bytes.
    File(Range<u64>),
    /// The directory.
    Directory,
}

impl Use {
    /// Whether it has to wait until a request is answered.
    fn needs(&self, request: &Pending) -> bool {
        let has_pages = |range: &Range<u64>| {
            let locked = request.offset..request.offset.saturating_add(u64::from(request.size));
            matches!(request.kind, OperationKind::Read | OperationKind::Write)
                && first_of_page(range.start) < locked.end
                && locked.start < range.end
        };
        self.inode == request.inode
            && match &self.lock {
                Lock::Pages(range) => has_pages(range),
                Lock::File(range) => changes_file(request.kind) || has_pages(range),
                Lock::Directory => changes_directory(request.kind),
            }
    }
}

fn first_of_page(offset: u64) -> u64 {
    offset / PAGE * PAGE
}

/// What `/proc/self/fdinfo` says about a descriptor.
#[derive(Clone, Copy, Debug)]
struct OpenFile {
    inode: Inode,
    position: u64,
}

impl OpenFile {
    /// Asking stat(2) instead would be a request to the mount.
    fn of_mount(mount: u64, descriptor: u64) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
        let number = |key| {
            let value = text.lines().find_map(|line| line.strip_prefix(key));
            value.and_then(|value| value.trim().parse::<u64>().ok())
        };
        let inode = Inode(number("ino:")?);
        (number("mnt_id:")? == mount).then_some(Self { inode, position: number("pos:")? })
    }
}

/// What the call in a line of `/proc/self/task/THREAD/syscall` needs: its number, then its six
/// arguments. `file` tells of descriptors that are files of the mount.
fn uses(line: &str, file: impl Fn(u64) -> Option<OpenFile>) -> Vec<Use> {
    let mut words = line.split_ascii_whitespace();
    // otherwise the thread runs, or is blocked outside of a system call
    let Some(call) = words.next().and_then(|number| number.parse::<libc::c_long>().ok()) else {
        return Vec::new();
    };
    let arguments: Vec<_> = words
        .map_while(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
        .collect();
    let [first, second, third, fourth, ..] = arguments[..] else { return Vec::new() };
    let from = |start: u64| start..u64::MAX;
    let part = |start: u64, length: u64| start..start.saturating_add(length);
    let pages = |descriptor, range: &dyn Fn(OpenFile) -> Range<u64>| {
        file(descriptor).map(|file| Use { inode: file.inode, lock: Lock::Pages(range(file)) })
    };
    let whole = |descriptor, range: &dyn Fn(OpenFile) -> Range<u64>| {
        file(descriptor).map(|file| Use { inode: file.inode, lock: Lock::File(range(file)) })
    };
    let (one, other) = match call {
        libc::SYS_read => (pages(first, &|file| part(file.position, third)), None),
        libc::SYS_pread64 => (pages(first, &|_| part(fourth, third)), None),
        libc::SYS_readv => (pages(first, &|file| from(file.position)), None),
        libc::SYS_preadv | libc::SYS_preadv2 => (pages(first, &|_| from(fourth)), None),
        libc::SYS_write => (whole(first, &|file| part(file.position, third)), None),
        libc::SYS_pwrite64 => (whole(first, &|_| part(fourth, third)), None),
        libc::SYS_writev => (whole(first, &|file| from(file.position)), None),
        libc::SYS_pwritev | libc::SYS_pwritev2 => (whole(first, &|_| from(fourth)), None),
        libc::SYS_ftruncate | libc::SYS_fallocate | libc::SYS_fsync | libc::SYS_fdatasync => {
            (whole(first, &|_| 0..0), None)
        }
        libc::SYS_sendfile => (pages(second, &|_| from(0)), whole(first, &|_| from(0))),
        libc::SYS_copy_file_range | libc::SYS_splice => {
            (pages(first, &|_| from(0)), whole(third, &|_| from(0)))
        }
        libc::SYS_getdents64 => {
            (file(first).map(|file| Use { inode: file.inode, lock: Lock::Directory }), None)
        }
        _ => (None, None),
    };
    one.into_iter().chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_flight::Subject;
    use crate::metrics::Started;

    /// Requests as the table shows them: kind, inode, offset and size.
    fn requests(subjects: &[(OperationKind, u64, u64, u32)]) -> Vec<Pending> {
        let table = InFlight::new();
        for ((kind, inode, offset, size), unique) in subjects.iter().zip(1..) {
            let (unique, inode) = (Unique(unique), Inode(*inode));
            let (kind, offset, size) = (*kind, *offset, *size);
            table.begin(Subject { unique, kind, pid: 1, inode, offset, size }, Started::now());
        }
        let mut pending: Vec<_> = table.pending().collect();
        pending.sort_by_key(|request| request.unique.0);
        pending
    }

    fn pages(inode: u64, range: Range<u64>) -> Vec<Use> {
        vec![Use { inode: Inode(inode), lock: Lock::Pages(range) }]
    }

    #[test]
    fn a_thread_waits_for_what_it_has_asked_for() {
        use OperationKind::{Getattr, Read};
        let mut all = requests(&[(Read, 7, 0, 4096), (Getattr, 8, 0, 0)]);
        (all[0].thread, all[1].pid, all[1].thread) = (10, 10, 11);
        assert_eq!(found(all.clone(), vec![Vec::new(), pages(7, 0..10)]), Some(1));
        assert_eq!(found(all, vec![Vec::new(), Vec::new()]), None);
    }

    fn found(requests: Vec<Pending>, uses: Vec<Vec<Use>>) -> Option<u64> {
        let blocked: Vec<_> = requests.into_iter().zip(uses).collect();
        waits_for_itself(&blocked).map(|request| request.unique.0)
    }

    #[test]
    fn a_read_waits_for_itself_if_it_reads_the_same_pages() {
        use OperationKind::Read;
        let read = || requests(&[(Read, 7, 8192, 4096)]);
        assert_eq!(found(read(), vec![pages(7, 8192..8193)]), Some(1));
        assert_eq!(found(read(), vec![pages(7, 0..1_000_000)]), Some(1));
        assert_eq!(found(read(), vec![pages(7, 12_287..12_290)]), Some(1));
        assert_eq!(found(read(), vec![pages(7, 0..8192)]), None, "the pages before");
        assert_eq!(found(read(), vec![pages(7, 12_288..12_290)]), None, "the page behind");
        assert_eq!(found(read(), vec![pages(8, 8192..8193)]), None, "another file");
    }

    #[test]
    fn two_may_wait_for_each_other() {
        use OperationKind::Read;
        let reads = || requests(&[(Read, 7, 0, 4096), (Read, 8, 0, 4096), (Read, 9, 0, 4096)]);
        let uses = vec![pages(8, 0..10), pages(7, 0..10), pages(7, 0..10)];
        assert_eq!(found(reads(), uses), Some(1));
        // one after the other is none of the kind
        let uses = vec![pages(8, 0..10), pages(9, 0..10), Vec::new()];
        assert_eq!(found(reads(), uses), None);
        // the first waits for those that wait for each other
        let uses = vec![pages(8, 0..10), pages(9, 0..10), pages(8, 0..10)];
        assert_eq!(found(reads(), uses), Some(2));
    }

    #[test]
    fn calls_are_read_from_the_line_of_the_kernel() {
        let file =
            |descriptor| (descriptor == 5).then_some(OpenFile { inode: Inode(7), position: 100 });
        let line =
            |call: libc::c_long, arguments: &str| format!("{call} {arguments} 0x7ffc 0x7f00");
        let read = line(libc::SYS_read, "0x5 0x7f11 0x20 0x0 0x0 0x0");
        assert_eq!(uses(&read, file), pages(7, 100..132));
        let pread = line(libc::SYS_pread64, "0x5 0x7f11 0x20 0x1000 0x0 0x0");
        assert_eq!(uses(&pread, file), pages(7, 4096..4128));
        let elsewhere = line(libc::SYS_pread64, "0x6 0x7f11 0x20 0x1000 0x0 0x0");
        assert_eq!(uses(&elsewhere, file), []);
        let truncate = line(libc::SYS_ftruncate, "0x5 0x0 0x0 0x0 0x0 0x0");
        assert_eq!(uses(&truncate, file)[0].lock, Lock::File(0..0));
        for line in ["running", "-1 0x7ffc 0x7f00", "", "0"] {
            assert_eq!(uses(line, file), [], "{line:?}");
        }
    }

    #[test]
    fn who_writes_a_file_needs_it_as_a_whole() {
        use OperationKind::{Create, Read, Setattr, Write};
        let needs = |lock: Lock, kind| {
            let use_ = Use { inode: Inode(7), lock };
            use_.needs(&requests(&[(kind, 7, 0, 10)])[0])
        };
        assert!(needs(Lock::File(0..0), Write));
        assert!(needs(Lock::File(0..0), Setattr));
        assert!(!needs(Lock::File(0..0), Read));
        assert!(needs(Lock::File(0..1), Read));
        assert!(needs(Lock::Directory, Create));
        assert!(!needs(Lock::Directory, Write));
    }
}
