//! System calls without a safe wrapper in the standard library: the only file of this
//! crate with `unsafe`.

use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// mount(2).
pub(crate) fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: c_ulong,
    data: &CStr,
) -> io::Result<()> {
    // SAFETY: all pointers are to NUL-terminated strings that outlive the call.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            data.as_ptr().cast::<c_void>(),
        )
    };
    check(result).map(drop)
}

/// umount2(2).
pub(crate) fn unmount(target: &CStr, flags: c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a NUL-terminated string that outlives the call.
    check(unsafe { libc::umount2(target.as_ptr(), flags) }).map(drop)
}

/// The number of the mount that a path lookup of `path` ends in, if the kernel has numbers
/// that are never reused (Linux 6.8). Asks nobody who serves the mount.
pub(crate) fn unique_mount_id(path: &CStr) -> Option<u64> {
    const STATX_MNT_ID_UNIQUE: u32 = 0x4000;
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_STATX_DONT_SYNC;
    let mut status = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is NUL-terminated and the buffer has the type that statx fills.
    let result = unsafe {
        libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, STATX_MNT_ID_UNIQUE, status.as_mut_ptr())
    };
    // SAFETY: all-zero is a valid statx, and the kernel only writes valid fields.
    let status = unsafe { status.assume_init() };
    (result == 0 && status.stx_mask & STATX_MNT_ID_UNIQUE != 0).then_some(status.stx_mnt_id)
}

/// Whether the connection of a `/dev/fuse` descriptor has not ended.
pub(crate) fn is_connected(device: BorrowedFd<'_>) -> bool {
    let mut question = libc::pollfd { fd: device.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one entry, as the count says; it returns at once.
    let answered = unsafe { libc::poll(&raw mut question, 1, 0) };
    // POLLERR is the kernel's answer for a connection that ended
    answered == 0
}

/// What a clock shows, in nanoseconds.
pub(crate) fn clock(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the buffer has the type that is filled in.
    unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    // SAFETY: all-zero is a valid timespec, and the kernel only writes valid fields.
    nanoseconds(unsafe { time.assume_init() })
}

/// How often a clock moves on, in nanoseconds.
pub(crate) fn clock_resolution(clock: libc::clockid_t) -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the buffer has the type that is filled in.
    unsafe { libc::clock_getres(clock, time.as_mut_ptr()) };
    // SAFETY: all-zero is a valid timespec, and the kernel only writes valid fields.
    nanoseconds(unsafe { time.assume_init() })
}

fn nanoseconds(time: libc::timespec) -> u64 {
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// Who is at the other end of a Unix socket: user and process.
pub(crate) fn peer_of(socket: BorrowedFd<'_>) -> io::Result<(u32, i32)> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = libc::socklen_t::try_from(size_of_val(&peer)).map_err(io::Error::other)?;
    // SAFETY: the buffer has the type that the option has, and its length is given.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast::<c_void>(),
            &raw mut length,
        )
    };
    check(result).map(|_| (peer.uid, peer.pid))
}

/// Whether others may connect to a socket. Async-signal-safe.
fn listens(socket: RawFd) -> bool {
    let mut answer: c_int = 0;
    #[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the buffer has the type that the option has, and its length is given.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut answer).cast::<c_void>(),
            &raw mut length,
        )
    };
    result == 0 && answer != 0
}

/// Number of the calling thread.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: always succeeds and touches no memory.
    let thread = unsafe { libc::gettid() };
    u32::try_from(thread).unwrap_or(0)
}

/// Lets the calling thread run on these CPUs only.
pub(crate) fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all-zero is the empty set.
    let set = unsafe { set.assume_init_mut() };
    for &cpu in cpus {
        if cpu >= MOST_CPUS {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_SET(cpu, set) };
    }
    // SAFETY: 0 is the calling thread, and the set has the size that is given.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(set), &raw const *set) }).map(drop)
}

/// The CPUs that the calling thread may run on.
pub(crate) fn affinity() -> io::Result<Vec<usize>> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all-zero is the empty set.
    let set = unsafe { set.assume_init_mut() };
    // SAFETY: 0 is the calling thread, and the set has the size that is given.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(set), &raw mut *set) })?;
    // SAFETY: the numbers are below the size of the set.
    Ok((0..MOST_CPUS).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, set) }).collect())
}

/// CPUs that a set has room for.
const MOST_CPUS: usize = libc::CPU_SETSIZE as usize;

/// Effective user and group of the process.
pub(crate) fn effective_user_and_group() -> (u32, u32) {
    // SAFETY: geteuid takes nothing and cannot fail.
    let user = unsafe { libc::geteuid() };
    // SAFETY: getegid takes nothing and cannot fail.
    let group = unsafe { libc::getegid() };
    (user, group)
}

/// Supplementary groups of the process.
pub(crate) fn supplementary_groups() -> Vec<u32> {
    // SAFETY: with a length of 0 it only counts.
    let count = unsafe { libc::getgroups(0, ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: the array has `count` entries; more are EINVAL.
    let count = unsafe { libc::getgroups(count.max(0), groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).unwrap_or(0));
    groups
}

/// Real user and group of the process.
pub(crate) fn user_and_group() -> (u32, u32) {
    // SAFETY: getuid takes nothing and cannot fail.
    let user = unsafe { libc::getuid() };
    // SAFETY: getgid takes nothing and cannot fail.
    let group = unsafe { libc::getgid() };
    (user, group)
}

/// Waits for a message with a descriptor (SCM_RIGHTS). `None`: the peer closed without one.
pub(crate) fn receive_descriptor(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0_u8; 1];
    let mut vector =
        libc::iovec { iov_base: byte.as_mut_ptr().cast::<c_void>(), iov_len: byte.len() };
    // room for one descriptor, aligned as control messages have to be
    let mut control = [0_u64; 8];
    let mut message = MaybeUninit::<libc::msghdr>::zeroed();
    // SAFETY: all-zero is a valid msghdr (null pointers, zero lengths).
    let message = unsafe { message.assume_init_mut() };
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast::<c_void>();
    message.msg_controllen = size_of_val(&control) as _;
    let received = loop {
        // SAFETY: the header points to live buffers of the lengths it names.
        match unsafe {
            libc::recvmsg(socket.as_raw_fd(), &raw mut *message, libc::MSG_CMSG_CLOEXEC)
        } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            received => break received,
        }
    };
    if received == 0 {
        return Ok(None);
    }
    // SAFETY: the kernel filled the header; the macro stays within msg_controllen.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const *message) };
    // SAFETY: a non-null header lies within `control`.
    let Some(header) = (unsafe { header.as_ref() }) else { return Ok(None) };
    if header.cmsg_level != libc::SOL_SOCKET || header.cmsg_type != libc::SCM_RIGHTS {
        return Ok(None);
    }
    // SAFETY: SCM_RIGHTS messages carry at least one descriptor after the header.
    let data = unsafe { libc::CMSG_DATA(ptr::from_ref(header)) };
    // SAFETY: as above; the data may be unaligned.
    let descriptor = unsafe { data.cast::<RawFd>().read_unaligned() };
    // SAFETY: the kernel installed the descriptor for us; nobody else owns it.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// A private mount of the file system that controls FUSE connections, attached nowhere:
/// it goes away with its descriptor.
pub(crate) fn fuse_control_mount() -> io::Result<OwnedFd> {
    // SAFETY: fsopen takes a NUL-terminated name and flags.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, c"fusectl".as_ptr(), 1_u32) };
    let context = owned(context)?;
    // SAFETY: FSCONFIG_CMD_CREATE takes neither key nor value.
    let created = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            6_u32,
            ptr::null::<c_char>(),
            ptr::null::<c_void>(),
            0,
        )
    };
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fsmount takes a descriptor and two flag words.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1_u32, 0_u32) })
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = RawFd::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the system call just made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Has `handler` called in the child of every fork(3) of this process.
pub(crate) fn call_in_forked_child(handler: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the handler has C's calling convention and lives as long as the program.
    match unsafe { libc::pthread_atfork(None, None, Some(handler)) } {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

/// Opens `/dev/null`; async-signal-safe. -1 on failure.
pub(crate) fn open_null() -> RawFd {
    // SAFETY: the path is NUL-terminated.
    unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) }
}

/// Puts `null` in the place of `descriptor`, if that is a FUSE device, a pipe or a socket that
/// others connect to, so that its number stays taken. Async-signal-safe.
///
/// The owner of `descriptor` must not use it in this process.
pub(crate) fn replace_descriptor(descriptor: RawFd, null: RawFd) {
    const FUSE_DEVICE: libc::dev_t = libc::makedev(10, 229);
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes to a buffer of its own type; a bad descriptor is an error.
    if unsafe { libc::fstat(descriptor, status.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: fstat succeeded and filled it.
    let status = unsafe { status.assume_init() };
    let device = status.st_mode & libc::S_IFMT == libc::S_IFCHR && status.st_rdev == FUSE_DEVICE;
    let listens = status.st_mode & libc::S_IFMT == libc::S_IFSOCK && listens(descriptor);
    if device || listens || status.st_mode & libc::S_IFMT == libc::S_IFIFO {
        // SAFETY: replaces an open descriptor; a bad `null` is an error and changes nothing.
        unsafe { libc::dup3(null, descriptor, libc::O_CLOEXEC) };
    }
}

/// Gives the calling thread a descriptor table of its own, in which only `kept` is open.
pub(crate) fn keep_only(kept: BorrowedFd<'_>) -> io::Result<()> {
    let kept = kept.as_raw_fd().cast_unsigned();
    // SAFETY: affects this thread's descriptor table only.
    check(unsafe { libc::unshare(libc::CLONE_FILES) })?;
    if kept > 0 {
        // SAFETY: the table is this thread's own since the line above, and nothing that
        // runs on this thread uses another descriptor than `kept`.
        check(unsafe { libc::close_range(0, kept - 1, 0) })?;
    }
    // SAFETY: as above.
    check(unsafe { libc::close_range(kept + 1, u32::MAX, 0) })?;
    Ok(())
}

/// Waits until `word` is no longer `expected` and [`futex_wake_all`] is called, or `timeout`
/// passes (`TimedOut`), or a signal is handled on this thread (`Interrupted`).
pub(crate) fn futex_wait(
    word: &AtomicU32,
    expected: u32,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word and the timeout, if there is one, outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, timeout) };
    match result {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // it is another value already
            error if error.raw_os_error() == Some(libc::EAGAIN) => Ok(()),
            error => Err(error),
        },
    }
}

/// Wakes all who wait for `word`.
pub(crate) fn futex_wake_all(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word outlives the call, which does not access it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX) };
}

/// Closes a descriptor that no object owns. Async-signal-safe.
pub(crate) fn close_raw(descriptor: RawFd) {
    // SAFETY: the caller says that nothing owns the descriptor; a bad one is an error.
    unsafe { libc::close(descriptor) };
}

/// Starts a program that is not our child: nobody's wait(2) sees it, no SIGCHLD comes for
/// it, and it keeps none of our descriptors and memory. It gets a session of its own,
/// `stdin`, and `/dev/null` for output. Returns its process id.
pub(crate) fn spawn_detached(
    program: &CStr,
    arguments: &[CString],
    environment: &[CString],
    stdin: BorrowedFd<'_>,
) -> io::Result<i32> {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let (result, report) = io::pipe()?;
    // SAFETY: exit signal 0 and no shared memory: a plain fork of the calling thread whose
    // end is signalled to nobody. CLONE_VFORK only makes us wait for it. The child runs
    // `intermediate`, which makes async-signal-safe calls alone and does not return.
    let child = unsafe { libc::syscall(libc::SYS_clone, c_long(libc::CLONE_VFORK), 0, 0, 0, 0) };
    if child == 0 {
        intermediate(program, &argv, &envp, stdin.as_raw_fd(), report.as_raw_fd());
    }
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    drop(report);
    let child = i32::try_from(child).map_err(io::Error::other)?;
    // SAFETY: waits for the one child that only __WCLONE sees; a null status is allowed.
    unsafe { libc::waitpid(child, ptr::null_mut(), libc::__WCLONE) };
    read_report(result)
}

fn c_long(flags: c_int) -> libc::c_long {
    flags.into()
}

/// What the intermediate process wrote: the program's pid, and the errno of a failed exec.
fn read_report(mut report: io::PipeReader) -> io::Result<i32> {
    use std::io::Read as _;
    let mut words = [[0_u8; 4]; 2];
    let mut read = 0;
    for word in &mut words {
        match report.read_exact(word) {
            Ok(()) => read += 1,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    match (read, words.map(i32::from_ne_bytes)) {
        (1, [pid, _]) if pid > 0 => Ok(pid),
        (0, _) => Err(io::Error::other("the intermediate process died")),
        (_, [failed, 0]) => Err(io::Error::from_raw_os_error(-failed)),
        (_, [_, failed]) => Err(io::Error::from_raw_os_error(failed)),
    }
}

/// Runs in the forked child: forks once more, so that the program's parent is gone.
/// Async-signal-safe calls only: other threads' locks are held for ever here.
fn intermediate(
    program: &CStr,
    argv: &[*const c_char],
    envp: &[*const c_char],
    stdin: RawFd,
    report: RawFd,
) -> ! {
    // SAFETY: as in `spawn_detached`, with the ordinary exit signal: init reaps it.
    let child = unsafe {
        libc::syscall(libc::SYS_clone, c_long(libc::CLONE_VFORK | libc::SIGCHLD), 0, 0, 0, 0)
    };
    if child == 0 {
        become_program(program, argv, envp, stdin, report);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a pid, or -1")]
    let answer = if child < 0 { -last_errno() } else { child as i32 };
    tell(report, answer);
    if child < 0 {
        tell(report, 0);
    }
    // SAFETY: ends this process without running anything of the parent's.
    unsafe { libc::_exit(0) }
}

fn become_program(
    program: &CStr,
    argv: &[*const c_char],
    envp: &[*const c_char],
    stdin: RawFd,
    report: RawFd,
) -> ! {
    // SAFETY: takes nothing.
    unsafe { libc::setsid() };
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE] {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialises the set it is given.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set was initialised; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
    // SAFETY: the path is NUL-terminated.
    unsafe { libc::chdir(c"/".as_ptr()) };
    let null = open_null();
    // the two descriptors that are needed may have numbers below 3 themselves
    let (stdin, report) = (above_standard(stdin), above_standard(report));
    for (from, to) in [(stdin, 0), (null, 1), (null, 2)] {
        // SAFETY: numbers only; a bad one is an error.
        unsafe { libc::dup2(from, to) };
    }
    close_all_but(report);
    // SAFETY: `program`, `argv` and `envp` are NUL-terminated and live in our copy of the
    // parent's memory.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    tell(report, -last_errno());
    tell(report, 0);
    // SAFETY: ends this process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

fn above_standard(descriptor: RawFd) -> RawFd {
    // SAFETY: duplicates a number; a bad one is an error.
    unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 3) }
}

/// Closes everything above standard error but `kept`.
fn close_all_but(kept: RawFd) {
    let Ok(kept) = u32::try_from(kept) else { return };
    for (first, last) in [(3, kept.saturating_sub(1)), (kept + 1, u32::MAX)] {
        if first > last {
            continue;
        }
        // SAFETY: closes descriptors of this process, which is about to become another program.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        if closed != 0 {
            // before Linux 5.9
            for descriptor in first..=last.min(65_535) {
                close_raw(RawFd::try_from(descriptor).unwrap_or(-1));
            }
        }
    }
}

fn tell(report: RawFd, word: i32) {
    let bytes = word.to_ne_bytes();
    // SAFETY: the buffer has the length that is given.
    unsafe { libc::write(report, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
}

fn last_errno() -> i32 {
    // SAFETY: takes nothing; the result is never null.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it points to the calling thread's own errno, which lives as long as the thread.
    unsafe { errno.read() }
}

/// Collects a process that has ended or is about to, if it is our child after all (we are
/// the init of a container, which inherits orphans).
pub(crate) fn reap(pid: i32) {
    // SAFETY: a null status is allowed; a pid that is not our child is an error.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
}
