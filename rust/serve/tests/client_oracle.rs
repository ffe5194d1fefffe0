//! Random operations through the client against the same ones by the standard library.
//!
//! A client over Passthrough or Memory, and a directory that `std::fs` works on: after each
//! operation both have had the same success or errno, and in the end they have the same tree.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fusesg_fs::memory::{Memory, MemoryOptions};
use fusesg_fs::passthrough::{Passthrough, PassthroughOptions};
use fusesg_fs::{Errno, FileSystem, FileType, RenameFlags, SetAttributes};
use fusesg_serve::{Client, ClientConfig, Native};
use fusesg_sg::Packing;
use proptest::prelude::*;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "a/a"];

#[derive(Clone, Debug)]
enum Step {
    Mkdir(usize),
    Rmdir(usize),
    Unlink(usize),
    Rename(usize, usize),
    Link(usize, usize),
    Symlink(usize, usize),
    Truncate(usize, u16),
    Chmod(usize, u16),
    Write { name: usize, flags: usize, offset: u16, sizes: Vec<u16>, byte: u8, vectored: bool },
    Read { name: usize, offset: u16, sizes: Vec<u16>, vectored: bool },
    List(usize),
}

const WRITE_FLAGS: [i32; 6] = [
    0,
    libc::O_CREAT,
    libc::O_CREAT | libc::O_EXCL,
    libc::O_CREAT | libc::O_TRUNC,
    libc::O_APPEND,
    libc::O_TRUNC | libc::O_NOFOLLOW,
];

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    let sizes = prop::collection::vec(prop_oneof![0..4_u16, 0..10_000_u16, Just(4096)], 0..6);
    prop_oneof![
        name.clone().prop_map(Step::Mkdir),
        name.clone().prop_map(Step::Rmdir),
        name.clone().prop_map(Step::Unlink),
        (name.clone(), name.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        (name.clone(), name.clone()).prop_map(|(from, to)| Step::Link(from, to)),
        (name.clone(), name.clone()).prop_map(|(target, link)| Step::Symlink(target, link)),
        (name.clone(), any::<u16>()).prop_map(|(name, size)| Step::Truncate(name, size)),
        (name.clone(), 0..0o1000_u16).prop_map(|(name, mode)| Step::Chmod(name, mode)),
        (name.clone(), 0..WRITE_FLAGS.len(), any::<u16>(), sizes.clone(), any::<(u8, bool)>())
            .prop_map(|(name, flags, offset, sizes, (byte, vectored))| {
                Step::Write { name, flags, offset, sizes, byte, vectored }
            }),
        (name.clone(), any::<u16>(), sizes, any::<bool>()).prop_map(
            |(name, offset, sizes, vectored)| { Step::Read { name, offset, sizes, vectored } }
        ),
        name.prop_map(Step::List),
    ]
}

fn config() -> impl Strategy<Value = ClientConfig> {
    let packing = prop_oneof![Just(Packing::Request), Just(Packing::Segment)];
    let limit = prop_oneof![Just(4096_u32), 4096..20_000_u32, Just(1 << 20)];
    (1..8_usize, limit.clone(), limit, packing, any::<bool>(), 1..4_usize, 1..5_usize).prop_map(
        |(max_pages, max_read, max_write, packing, asynchronous, max_background, max_requests)| {
            ClientConfig {
                max_pages,
                max_read,
                max_write,
                packing,
                asynchronous,
                max_background,
                max_requests,
                slow_request_warning: None,
                ..ClientConfig::default()
            }
        },
    )
}

/// What an operation gives back: a number of bytes, data, names, or nothing.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Bytes(u64),
    Data(Data),
    Names(Vec<String>),
    Failed(Errno),
}

/// Too much to print.
#[derive(PartialEq, Eq)]
struct Data(Vec<u8>);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<T> From<Result<T, Errno>> for Outcome
where
    Self: From<T>,
{
    fn from(result: Result<T, Errno>) -> Self {
        result.map_or_else(Self::Failed, Self::from)
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl From<u64> for Outcome {
    fn from(bytes: u64) -> Self {
        Self::Bytes(bytes)
    }
}

fn os(result: io::Result<()>) -> Outcome {
    result.map_err(Errno::from).into()
}

fn pieces(sizes: &[u16], byte: u8) -> Vec<Vec<u8>> {
    let numbered = sizes.iter().zip(0_u8..);
    numbered.map(|(size, n)| vec![byte.wrapping_add(n); usize::from(*size)]).collect()
}

/// By the client.
fn by_client(client: &Client, step: &Step) -> Outcome {
    let path = |name: &usize| OsStr::new(NAMES[*name]);
    match step {
        Step::Mkdir(name) => client.make_directory(path(name), 0o777).into(),
        Step::Rmdir(name) => client.remove_directory(path(name)).into(),
        Step::Unlink(name) => client.unlink(path(name)).into(),
        Step::Rename(from, to) => client.rename(path(from), path(to), RenameFlags::empty()).into(),
        Step::Link(from, to) => client.make_link(path(from), path(to), false).into(),
        Step::Symlink(target, link) => client.make_symlink(path(target), path(link)).into(),
        Step::Truncate(name, size) => {
            let changes = SetAttributes { size: Some((*size).into()), ..SetAttributes::default() };
            client.set_attributes(path(name), true, &changes).map(drop).into()
        }
        Step::Chmod(name, mode) => {
            let changes = SetAttributes { mode: Some((*mode).into()), ..SetAttributes::default() };
            client.set_attributes(path(name), true, &changes).map(drop).into()
        }
        Step::Write { name, flags, offset, sizes, byte, vectored } => {
            let flags = libc::O_WRONLY | WRITE_FLAGS[*flags];
            let file = match client.open(path(name), flags, 0o666) {
                Ok(file) => file,
                Err(errno) => return Outcome::Failed(errno),
            };
            let pieces = pieces(sizes, *byte);
            let written = if *vectored {
                client.pwritev(file, pieces.iter().map(Vec::as_slice), (*offset).into())
            } else {
                client.pwrite(file, &pieces.concat(), (*offset).into())
            };
            client.close_file(file).expect("flushed");
            written.into()
        }
        Step::Read { name, offset, sizes, vectored } => {
            let file = match client.open(path(name), libc::O_RDONLY, 0) {
                Ok(file) => file,
                Err(errno) => return Outcome::Failed(errno),
            };
            let mut buffers = pieces(sizes, 0);
            let total: usize = buffers.iter().map(Vec::len).sum();
            let read = if *vectored {
                let segments = buffers.iter_mut().map(Vec::as_mut_slice);
                client.preadv(file, segments, (*offset).into()).map(|read| {
                    let mut data = buffers.concat();
                    data.truncate(usize::try_from(read).expect("small"));
                    data
                })
            } else {
                client.pread(file, total as u64, (*offset).into()).map(|read| read.to_vec())
            };
            client.close_file(file).expect("flushed");
            read.map_or_else(Outcome::Failed, |read| Outcome::Data(Data(read)))
        }
        Step::List(name) => match client.list(path(name)) {
            Ok(entries) => {
                let name = |entry: fusesg_serve::ClientEntry| entry.name.into_string();
                let mut names: Vec<_> =
                    entries.into_iter().map(|e| name(e).expect("ASCII")).collect();
                names.sort();
                Outcome::Names(names)
            }
            Err(errno) => Outcome::Failed(errno),
        },
    }
}

/// By the system.
fn by_system(root: &Path, step: &Step) -> Outcome {
    let path = |name: &usize| root.join(NAMES[*name]);
    match step {
        Step::Mkdir(name) => os(fs::create_dir(path(name))),
        Step::Rmdir(name) => os(fs::remove_dir(path(name))),
        Step::Unlink(name) => os(fs::remove_file(path(name))),
        Step::Rename(from, to) => os(fs::rename(path(from), path(to))),
        Step::Link(from, to) => os(fs::hard_link(path(from), path(to))),
        Step::Symlink(target, link) => os(symlink(NAMES[*target], path(link))),
        Step::Truncate(name, size) => os(fs::OpenOptions::new()
            .write(true)
            .open(path(name))
            .and_then(|file| file.set_len((*size).into()))),
        Step::Chmod(name, mode) => {
            os(fs::set_permissions(path(name), fs::Permissions::from_mode((*mode).into())))
        }
        Step::Write { name, flags, offset, sizes, byte, .. } => {
            let flags = WRITE_FLAGS[*flags];
            let mut options = fs::OpenOptions::new();
            options.write(true).mode(0o666);
            // the standard library wants to know these
            options.append(flags & libc::O_APPEND != 0);
            options.create(flags & libc::O_CREAT != 0);
            options.create_new(flags & libc::O_EXCL != 0);
            options.truncate(flags & libc::O_TRUNC != 0);
            options.custom_flags(flags & libc::O_NOFOLLOW);
            let data = pieces(sizes, *byte).concat();
            options
                .open(path(name))
                .and_then(|file| file.write_all_at(&data, (*offset).into()))
                .map(|()| data.len() as u64)
                .map_err(Errno::from)
                .into()
        }
        Step::Read { name, offset, sizes, .. } => {
            let mut data = pieces(sizes, 0).concat();
            let read = fs::File::open(path(name)).and_then(|file| {
                let mut done = 0;
                loop {
                    match file.read_at(&mut data[done..], u64::from(*offset) + done as u64)? {
                        0 => return Ok(done),
                        read => done += read,
                    }
                }
            });
            match read {
                Ok(read) => {
                    data.truncate(read);
                    Outcome::Data(Data(data))
                }
                Err(error) => Outcome::Failed(error.into()),
            }
        }
        Step::List(name) => match fs::read_dir(path(name)) {
            Ok(entries) => {
                let name = |entry: io::Result<fs::DirEntry>| {
                    entry.expect("listed").file_name().into_string().expect("ASCII")
                };
                let mut names: Vec<_> = entries.map(name).collect();
                names.sort();
                Outcome::Names(names)
            }
            Err(error) => Outcome::Failed(error.into()),
        },
    }
}

/// Mode, length, links and content of each path.
type Tree = BTreeMap<String, (u32, u64, u64, Vec<u8>)>;

fn tree_by_system(root: &Path) -> Tree {
    let mut all = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("listed") {
            let path = entry.expect("listed").path();
            let metadata = path.symlink_metadata().expect("there");
            let content = if metadata.is_dir() {
                directories.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).expect("read")
            };
            let name = path.strip_prefix(root).expect("below").display().to_string();
            let length = if metadata.is_dir() { 0 } else { metadata.len() };
            all.insert(name, (metadata.mode(), length, metadata.nlink(), content));
        }
    }
    all
}

fn tree_by_client(client: &Client) -> Tree {
    let mut all = BTreeMap::new();
    let mut directories = vec![PathBuf::from("/")];
    while let Some(directory) = directories.pop() {
        for entry in client.list(directory.as_os_str()).expect("listed") {
            let path = directory.join(&entry.name);
            let found = client.attributes(path.as_os_str(), false).expect("there");
            let content = match found.kind {
                FileType::Directory => {
                    directories.push(path.clone());
                    Vec::new()
                }
                FileType::SymbolicLink => {
                    client.read_link(path.as_os_str()).expect("a link").into_encoded_bytes()
                }
                _ => {
                    let file = client.open(path.as_os_str(), libc::O_RDONLY, 0).expect("opened");
                    let data = client.pread(file, found.size, 0).expect("read").to_vec();
                    client.close_file(file).expect("closed");
                    data
                }
            };
            let name = path.strip_prefix("/").expect("below").display().to_string();
            let length = if found.kind == FileType::Directory { 0 } else { found.size };
            all.insert(name, (found.mode(), length, found.links.into(), content));
        }
    }
    all
}

/// Takes the same steps with the client and with the system.
fn compare(
    file_system: Arc<impl FileSystem>,
    config: ClientConfig,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let directory = tempfile::tempdir().expect("made");
    let client =
        Client::new(Arc::new(Native::new(file_system)), config, None).expect("init succeeds");
    for step in steps {
        let (found, expected) = (by_client(&client, step), by_system(directory.path(), step));
        prop_assert_eq!(found, expected, "{:?}", step);
    }
    // whole files are too much to print
    prop_assert!(tree_by_client(&client) == tree_by_system(directory.path()), "the trees differ");
    let statistics = client.statistics();
    prop_assert_eq!(statistics.lookups, 0);
    prop_assert_eq!(statistics.open_files, 0);
    prop_assert_eq!(statistics.requests.outstanding, 0);
    prop_assert_eq!(statistics.requests.pages_requested, statistics.requests.pages_used);
    prop_assert_eq!(statistics.pages.bytes_resident, statistics.pages.bytes_idle);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_directory_behind_the_client_is_that_directory(
        config in config(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let source = tempfile::tempdir().expect("made");
        let passthrough = Passthrough::open(source.path(), PassthroughOptions::default());
        compare(Arc::new(passthrough.expect("opened")), config, &steps)?;
    }

    #[test]
    fn files_in_memory_behind_the_client_are_like_files(
        config in config(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let options = MemoryOptions {
            size: Some(1 << 30),
            inodes: Some(1 << 20),
            uid: config.uid,
            gid: config.gid,
            mode: 0o755,
        };
        let memory = Memory::new(&options);
        compare(Arc::new(memory.expect("made")), config, &steps)?;
    }
}
