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
use std::sync::Arc;
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
    found: HashMap<Unique, Arc<str>>,
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
        // an event loop may have thousands of requests: one look at its thread
        let mut calls = HashMap::new();
        let mut found = HashMap::new();
        let mut blocked = Vec::new();
        for request in pending {
            if request.thread == 0 || request.age < PATIENCE {
                continue;
            }
            let call = calls.entry(request.thread).or_insert_with(|| call_of(request.thread));
            let Some(call) = call else { continue };
            if self.found.get(&request.unique) == Some(call) {
                blocked.push(request);
            }
            found.insert(request.unique, Arc::clone(call));
        }
        self.found = found;
        let threads: HashSet<_> = blocked.iter().map(|request| request.thread).collect();
        // one that has asked for something waits for that
        let uses = threads.difference(&calling).filter_map(|thread| {
            let file = |descriptor| OpenFile::of_mount(self.mount, descriptor);
            Some((*thread, use_by(calls[thread].as_ref()?, file)?))
        });
        waits_for_itself(&blocked, &uses.collect())
    }
}

/// The call in which a thread is blocked, as `/proc` tells it; `None` if it runs, or waits for
/// something else than the mount.
fn call_of(thread: u32) -> Option<Arc<str>> {
    let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
    may_wait_for_mount(&call).then(|| call.into())
}

fn may_wait_for_mount(call: &str) -> bool {
    let Some(number) = call.split_ascii_whitespace().next() else { return false };
    let waits_elsewhere = [
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select,
        libc::SYS_epoll_pwait,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        libc::SYS_futex,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
    ];
    // -1: a page fault, say
    number.parse().is_ok_and(|number| !waits_elsewhere.contains(&number))
}

/// Whether a file is locked as a whole until a request is answered. What the kernel writes back
/// on its own, times included, is nobody's, and does without.
fn changes_file(request: &Pending) -> bool {
    use OperationKind as Kind;
    let changes =
        matches!(request.kind, Kind::Write | Kind::Setattr | Kind::Fallocate | Kind::Fsync);
    changes && request.pid != 0
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
/// made, and for those that hold what the thread needs. `uses` tells that of threads.
fn waits_for_itself(requests: &[Pending], uses: &HashMap<u32, Use>) -> Option<Pending> {
    let mut made_by: HashMap<u32, Vec<&Pending>> = HashMap::new();
    for request in requests {
        // a thread that carries a request out does not wait for it: it had it read ahead
        if request.pid != request.thread {
            made_by.entry(request.pid).or_default().push(request);
        }
    }
    // requests that are carried out by one thread wait for the same
    let mut waits_for: HashMap<u32, Vec<&Pending>> = HashMap::new();
    for request in requests {
        waits_for.entry(request.thread).or_insert_with(|| {
            let mut all = made_by.get(&request.thread).cloned().unwrap_or_default();
            if let Some(use_) = uses.get(&request.thread) {
                all.extend(requests.iter().filter(|other| use_.needs(other)));
            }
            all
        });
    }
    waits_for.retain(|_, requests| !requests.is_empty());
    // by thread, the requests that it waits for, through however many others
    let mut reached_from: HashMap<u32, HashSet<Unique>> = HashMap::new();
    let first =
        requests.iter().filter(|first| waits_for.contains_key(&first.thread)).find(|first| {
            let reached = reached_from.entry(first.thread).or_insert_with(|| {
                let (mut reached, mut threads) = (HashSet::new(), HashSet::from([first.thread]));
                let mut to_visit = vec![first.thread];
                while let Some(requests) = to_visit.pop().map(|thread| waits_for.get(&thread)) {
                    for request in requests.into_iter().flatten() {
                        reached.insert(request.unique);
                        if threads.insert(request.thread) {
                            to_visit.push(request.thread);
                        }
                    }
                }
                reached
            });
            reached.contains(&first.unique)
        });
    first.copied()
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
    /// Whether it has to wait until a request is answered. Of the pages of a WRITE only a last
    /// one stays locked that it fills in part, and not always: none of them is certain.
    fn needs(&self, request: &Pending) -> bool {
        let has_pages = |range: &Range<u64>| {
            let locked = request.offset..request.offset.saturating_add(u64::from(request.size));
            request.kind == OperationKind::Read
                && first_of_page(range.start) < locked.end
                && locked.start < range.end
        };
        self.inode == request.inode
            && match &self.lock {
                Lock::Pages(range) => has_pages(range),
                Lock::File(range) => changes_file(request) || has_pages(range),
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
/// arguments. `file` tells of descriptors that are files of the mount. Where it is not known how
/// far the call goes, it needs the first page at least.
fn use_by(line: &str, file: impl Fn(u64) -> Option<OpenFile>) -> Option<Use> {
    let mut words = line.split_ascii_whitespace();
    // otherwise the thread runs, or is blocked outside of a system call
    let call = words.next()?.parse::<libc::c_long>().ok()?;
    let arguments: Vec<_> = words
        .map_while(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
        .collect();
    let [first, second, third, fourth, ..] = arguments[..] else { return None };
    let page = |start: u64| start..start.saturating_add(1);
    let part = |start: u64, length: u64| start..start.saturating_add(length);
    let pages = |descriptor, range: &dyn Fn(OpenFile) -> Range<u64>| {
        file(descriptor).map(|file| Use { inode: file.inode, lock: Lock::Pages(range(file)) })
    };
    let whole = |descriptor, range: &dyn Fn(OpenFile) -> Range<u64>| {
        file(descriptor).map(|file| Use { inode: file.inode, lock: Lock::File(range(file)) })
    };
    match call {
        libc::SYS_read => pages(first, &|file| part(file.position, third)),
        libc::SYS_pread64 => pages(first, &|_| part(fourth, third)),
        libc::SYS_readv => pages(first, &|file| page(file.position)),
        libc::SYS_preadv | libc::SYS_preadv2 => pages(first, &|_| page(fourth)),
        libc::SYS_write => whole(first, &|file| part(file.position, third)),
        libc::SYS_pwrite64 => whole(first, &|_| part(fourth, third)),
        libc::SYS_writev => whole(first, &|file| page(file.position)),
        libc::SYS_pwritev | libc::SYS_pwritev2 => whole(first, &|_| page(fourth)),
        libc::SYS_ftruncate | libc::SYS_fallocate | libc::SYS_fsync | libc::SYS_fdatasync => {
            whole(first, &|_| 0..0)
        }
        // where it reads is known if it reads on; whether it writes yet is not
        libc::SYS_sendfile if third == 0 => pages(second, &|file| page(file.position)),
        libc::SYS_splice if second == 0 => pages(first, &|file| page(file.position)),
        // from another file system it would read first
        libc::SYS_copy_file_range if file(first).is_some() => whole(third, &|_| 0..0),
        libc::SYS_getdents64 => {
            file(first).map(|file| Use { inode: file.inode, lock: Lock::Directory })
        }
        _ => None,
    }
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
        for (request, thread) in pending.iter_mut().zip(100..) {
            request.thread = thread;
        }
        pending
    }

    #[expect(clippy::unnecessary_wraps, reason = "as `use_by` tells it")]
    fn pages(inode: u64, range: Range<u64>) -> Option<Use> {
        Some(Use { inode: Inode(inode), lock: Lock::Pages(range) })
    }

    #[test]
    fn a_thread_waits_for_what_it_has_asked_for() {
        use OperationKind::{Getattr, Read};
        let mut all = requests(&[(Read, 7, 0, 4096), (Getattr, 8, 0, 0)]);
        (all[0].thread, all[1].pid, all[1].thread) = (10, 10, 11);
        assert_eq!(found(&all, vec![None, pages(7, 0..10)]), Some(1));
        assert_eq!(found(&all, vec![None, None]), None);
    }

    #[test]
    fn a_thread_does_not_wait_for_what_it_carries_out() {
        // read ahead for its last callback
        let mut all = requests(&[(OperationKind::Read, 7, 0, 4096)]);
        (all[0].pid, all[0].thread) = (10, 10);
        assert_eq!(found(&all, vec![None]), None);
        assert_eq!(found(&all, vec![pages(7, 0..10)]), Some(1));
    }

    #[test]
    fn all_requests_of_an_event_loop_wait_for_what_it_uses() {
        use OperationKind::Read;
        let subjects: Vec<_> = (1..=5000).map(|inode| (Read, inode, 0, 4096)).collect();
        let mut all = requests(&subjects);
        for request in &mut all {
            request.thread = 10;
        }
        let mut uses = vec![None; all.len()];
        uses[0] = pages(4000, 0..10);
        assert_eq!(found(&all, uses), Some(4000));
    }

    /// What is used by whom is told of the first request of its thread.
    fn found(requests: &[Pending], uses: Vec<Option<Use>>) -> Option<u64> {
        let uses = requests.iter().zip(uses);
        let uses = uses.filter_map(|(request, use_)| Some((request.thread, use_?))).collect();
        waits_for_itself(requests, &uses).map(|request| request.unique.0)
    }

    #[test]
    fn a_read_waits_for_itself_if_it_reads_the_same_pages() {
        use OperationKind::Read;
        let read = || requests(&[(Read, 7, 8192, 4096)]);
        assert_eq!(found(&read(), vec![pages(7, 8192..8193)]), Some(1));
        assert_eq!(found(&read(), vec![pages(7, 0..1_000_000)]), Some(1));
        assert_eq!(found(&read(), vec![pages(7, 12_287..12_290)]), Some(1));
        assert_eq!(found(&read(), vec![pages(7, 0..8192)]), None, "the pages before");
        assert_eq!(found(&read(), vec![pages(7, 12_288..12_290)]), None, "the page behind");
        assert_eq!(found(&read(), vec![pages(8, 8192..8193)]), None, "another file");
    }

    #[test]
    fn two_may_wait_for_each_other() {
        use OperationKind::Read;
        let reads = || requests(&[(Read, 7, 0, 4096), (Read, 8, 0, 4096), (Read, 9, 0, 4096)]);
        let uses = vec![pages(8, 0..10), pages(7, 0..10), pages(7, 0..10)];
        assert_eq!(found(&reads(), uses), Some(1));
        // one after the other is none of the kind
        let uses = vec![pages(8, 0..10), pages(9, 0..10), None];
        assert_eq!(found(&reads(), uses), None);
        // the first waits for those that wait for each other
        let uses = vec![pages(8, 0..10), pages(9, 0..10), pages(8, 0..10)];
        assert_eq!(found(&reads(), uses), Some(2));
    }

    #[test]
    fn calls_are_read_from_the_line_of_the_kernel() {
        let file =
            |descriptor| (descriptor == 5).then_some(OpenFile { inode: Inode(7), position: 100 });
        let line =
            |call: libc::c_long, arguments: &str| format!("{call} {arguments} 0x7ffc 0x7f00");
        let read = line(libc::SYS_read, "0x5 0x7f11 0x20 0x0 0x0 0x0");
        assert_eq!(use_by(&read, file), pages(7, 100..132));
        let pread = line(libc::SYS_pread64, "0x5 0x7f11 0x20 0x1000 0x0 0x0");
        assert_eq!(use_by(&pread, file), pages(7, 4096..4128));
        let elsewhere = line(libc::SYS_pread64, "0x6 0x7f11 0x20 0x1000 0x0 0x0");
        assert_eq!(use_by(&elsewhere, file), None);
        let truncate = line(libc::SYS_ftruncate, "0x5 0x0 0x0 0x0 0x0 0x0");
        assert_eq!(use_by(&truncate, file).unwrap().lock, Lock::File(0..0));
        let vector = line(libc::SYS_preadv, "0x5 0x7f11 0x2 0x1000 0x0 0x0");
        assert_eq!(use_by(&vector, file), pages(7, 4096..4097), "how much is not told");
        let send = line(libc::SYS_sendfile, "0x6 0x5 0x0 0x1000 0x0 0x0");
        assert_eq!(use_by(&send, file), pages(7, 100..101));
        let send = line(libc::SYS_sendfile, "0x5 0x6 0x0 0x1000 0x0 0x0");
        assert_eq!(use_by(&send, file), None, "it may wait for what it sends");
        for line in ["running", "-1 0x7ffc 0x7f00", "", "0"] {
            assert_eq!(use_by(line, file), None, "{line:?}");
        }
    }

    #[test]
    fn not_every_thread_that_is_blocked_waits_for_a_file() {
        let idle = format!("{} 0x5 0x7f11 0x2 0xffff 0x0 0x0", libc::SYS_epoll_pwait);
        assert!(!may_wait_for_mount(&idle));
        assert!(!may_wait_for_mount("running\n"));
        assert!(may_wait_for_mount("-1 0x7ffc 0x7f00\n"));
        assert!(may_wait_for_mount(&format!("{} 0x5 0x7f11", libc::SYS_read)));
    }

    #[test]
    fn who_writes_a_file_needs_it_as_a_whole() {
        use OperationKind::{Create, Read, Setattr, Write};
        let needs = |lock: Lock, kind| {
            let use_ = Use { inode: Inode(7), lock };
            use_.needs(&requests(&[(kind, 7, 0, 10)])[0])
        };
        let mut written_back = requests(&[(Write, 7, 0, 10)]);
        written_back[0].pid = 0;
        assert!(!Use { inode: Inode(7), lock: Lock::File(0..1) }.needs(&written_back[0]));
        assert!(!needs(Lock::Pages(0..1), Write), "not for certain");
        assert!(needs(Lock::File(0..0), Write));
        assert!(needs(Lock::File(0..0), Setattr));
        assert!(!needs(Lock::File(0..0), Read));
        assert!(needs(Lock::File(0..1), Read));
        assert!(needs(Lock::Directory, Create));
        assert!(!needs(Lock::Directory, Write));
    }
}
