//! A process that cleans up after a server that was killed.
//!
//! After `kill -9` nobody is left to unmount, and the mount point answers every access
//! with "Transport endpoint is not connected". The watcher is a shell that waits at a pipe
//! of ours. When the pipe ends it looks whether the topmost mount at the path is still
//! ours, by mount id, device and type (the numbers go to the next mount as soon as ours is
//! gone), and detaches it. On a regular unmount it is told so and just ends. It is nobody's
//! child, has a session of its own and keeps none of our memory and descriptors.
//!
//! It is there before the mount is, and is told of that as soon as its id is known: making a
//! mount includes what the file system does to start, which may take long.
//!
//! Our end of the pipe is in the descriptor table of one thread alone, the keeper. A
//! process that is killed while a thread of it waits for its own mount (or closes a file
//! there, which sends a FLUSH) is stuck: that thread keeps the common descriptor table, and
//! with it the connection, alive. The keeper dies all the same, and its table with it; the
//! watcher then aborts the connection, which frees the stuck thread.
//!
//! A process that dumps core keeps even the keeper until all its threads are there. So as
//! long as a thread of the process waits for its own mount, which the sweeper finds out,
//! the watcher looks once a second whether the process dumps core.

use std::ffi::{CString, OsStr};
use std::io::{self, PipeWriter, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use crate::fork::NotInherited;
use crate::mounting::MountInfo;
use crate::sys;

/// Paths come as arguments and are never part of the script: the mount point, and the number
/// of the server. Once there is a mount they are its id, the mount point as
/// /proc/self/mountinfo writes it, the device, and those two.
const SCRIPT: &str = r#"
end_mount() {
    ours=
    covered=
    while read -r id parent device root point rest; do
        [ "$point" = "$2" ] || continue
        case $rest in *" - fuse"*) [ "$id" = "$1" ] && [ "$device" = "$3" ] && ours=yes ;; esac
        [ "$parent" = "$1" ] && covered=yes
    done < /proc/self/mountinfo
    [ -n "$ours" ] && [ -z "$covered" ] || exit 0
    echo 1 > "/sys/fs/fuse/connections/${3#*:}/abort"
    umount -f -l -- "$4" || umount -l -- "$4" || fusermount3 -u -z -- "$4" || fusermount -u -z -- "$4"
}
look_for_core_dump() {
    while sleep 1; do
        while read -r key value; do
            [ "$key$value" = CoreDumping:1 ] && end_mount "$@"
        done < "/proc/$5/status" || exit 0
    done
}
guard=
while read -r word id point device; do
    case $word in
        mounted) set -- "$id" "$point" "$device" "$@" ;;
        waiting) look_for_core_dump "$@" & guard=$! ;;
        done | working) [ -n "$guard" ] && kill -s KILL "$guard"; guard= ;;
    esac
    [ "$word" = done ] && exit 0
done
[ -n "$guard" ] && kill -s KILL "$guard"
[ $# -eq 5 ] && end_mount "$@"
"#;

/// What the watcher is told.
#[derive(Debug)]
pub(crate) enum Word {
    /// The line says which mount it is; answered when it is written.
    Mounted { line: Vec<u8>, written: Sender<()> },
    /// A thread of this process waits for the mount.
    Waiting,
    /// None does any more.
    Working,
    /// There is nothing left to clean up.
    Done,
}

impl Word {
    fn line(&self) -> &[u8] {
        match self {
            Self::Mounted { line, .. } => line,
            Self::Waiting => b"waiting\n",
            Self::Working => b"working\n",
            Self::Done => b"done\n",
        }
    }
}

/// The watcher of one mount. Dropped, it ends: there is nothing left to clean up.
#[derive(Debug)]
pub(crate) struct Watcher {
    pid: i32,
    /// To the keeper, who passes them on.
    words: Sender<Word>,
    /// Until dropped.
    keeper: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts the watcher of what will be mounted at `point`.
    pub(crate) fn spawn(point: &Path) -> io::Result<Self> {
        let (stdin, pipe) = io::pipe()?;
        let server = std::process::id().to_string();
        let arguments = [
            OsStr::new("sh"),
            OsStr::new("-c"),
            OsStr::new(SCRIPT),
            OsStr::new("fusesg-watcher"),
            point.as_os_str(),
            OsStr::new(&server),
        ];
        let arguments = arguments
            .into_iter()
            .map(|argument| CString::new(argument.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
        let pid = sys::spawn_detached(c"/bin/sh", &arguments, &environment, stdin.as_fd())?;
        match keep(pipe) {
            Ok((words, keeper)) => Ok(Self { pid, words, keeper: Some(keeper) }),
            Err(error) => {
                // it was dismissed
                sys::reap(pid);
                Err(error)
            }
        }
    }

    /// This is the mount to clean up, whatever happens from now on.
    pub(crate) fn watch(&self, mount: &MountInfo) {
        let mut line = format!("mounted {} ", mount.id.id).into_bytes();
        // without white space, as it is written there
        line.extend_from_slice(mount.escaped_point.as_bytes());
        line.extend_from_slice(format!(" 0:{}\n", mount.id.minor).as_bytes());
        let (written, answer) = mpsc::channel();
        let _ = self.words.send(Word::Mounted { line, written });
        let _ = answer.recv();
    }

    /// A way to tell the watcher more.
    pub(crate) fn words(&self) -> Sender<Word> {
        self.words.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.words.send(Word::Done);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        sys::reap(self.pid);
    }
}

/// Moves the pipe into the keeper's descriptor table.
fn keep(mut pipe: PipeWriter) -> io::Result<(Sender<Word>, JoinHandle<()>)> {
    let number = pipe.as_raw_fd();
    // until it is out of the common table, a forked child would inherit it
    let listed = NotInherited::new(pipe.as_fd());
    let (words, told) = mpsc::channel();
    let (separated, separation) = mpsc::channel();
    let keeper = thread::Builder::new().name("fusesg-keeper".into()).spawn(move || {
        let result = sys::keep_only(pipe.as_fd());
        let failed = result.is_err();
        let _ = separated.send(result);
        // without a table of its own the keeper is of no use; nor is a watcher that would
        // take a silent end of the pipe for our death
        let last = if failed { Some(Word::Done) } else { None };
        for word in last.into_iter().chain(told) {
            // a watcher that somebody killed is gone already
            let _ = pipe.write_all(word.line());
            match word {
                Word::Mounted { written, .. } => drop(written.send(())),
                Word::Waiting | Word::Working => {}
                Word::Done => break,
            }
        }
    })?;
    let result = separation.recv().unwrap_or_else(|_| Err(io::Error::other("keeper died")));
    drop(listed);
    result?;
    // the keeper has its own copy
    sys::close_raw(number);
    Ok((words, keeper))
}
