//! The native Passthrough through the kernel, with and without kernel passthrough.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::sync::Arc;

use common::{MountPoint, eventually, logged, watchdog};
use fusesg_fs::OperationKind;
use fusesg_fs::passthrough::{Passthrough, PassthroughOptions};
use fusesg_serve::{Mount, Native};
use tempfile::TempDir;

struct Served {
    source: TempDir,
    point: MountPoint,
    mount: Mount,
}

impl Served {
    fn new(kernel_passthrough: bool, source: TempDir) -> Self {
        let point = MountPoint::new();
        let options = PassthroughOptions { kernel_passthrough, ..PassthroughOptions::default() };
        let passthrough = Passthrough::open(source.path(), options).unwrap();
        let mut config = point.config();
        config.kernel_passthrough = kernel_passthrough;
        let mount = Mount::new(Arc::new(Native::new(Arc::new(passthrough))), config).unwrap();
        Self { source, point, mount }
    }

    fn count(&self, kind: OperationKind) -> u64 {
        let operations = self.mount.statistics().operations;
        operations.iter().find(|operation| operation.kind == kind).map_or(0, |found| found.count)
    }
}

fn on_disk() -> TempDir {
    tempfile::Builder::new().prefix("fusesg").tempdir_in("/var/tmp").unwrap()
}

#[test]
fn a_tree_is_the_same_on_both_sides() {
    watchdog();
    for kernel_passthrough in [false, true] {
        let served = Served::new(kernel_passthrough, on_disk());
        let inside = served.point.path();
        fs::create_dir(inside.join("d")).unwrap();
        fs::write(inside.join("d/file"), vec![3; 2_500_000]).unwrap();
        std::os::unix::fs::symlink("d/file", inside.join("link")).unwrap();
        fs::hard_link(inside.join("d/file"), inside.join("hard")).unwrap();
        fs::rename(inside.join("d/file"), inside.join("d/moved")).unwrap();
        fs::set_permissions(inside.join("hard"), fs::Permissions::from_mode(0o640)).unwrap();
        let outside = served.source.path();
        assert!(fs::read(outside.join("hard")).unwrap() == vec![3; 2_500_000]);
        let (here, there) = (
            fs::metadata(inside.join("hard")).unwrap(),
            fs::metadata(outside.join("hard")).unwrap(),
        );
        assert_eq!(
            (here.ino(), here.mode(), here.nlink(), here.len()),
            (there.ino(), there.mode(), there.nlink(), there.len())
        );
        assert_eq!(here.nlink(), 2);
        assert_eq!(fs::read_link(outside.join("link")).unwrap().as_os_str(), "d/file");
        let mut names: Vec<_> =
            fs::read_dir(inside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["d", "hard", "link"]);
        served.mount.unmount().unwrap();
    }
}

#[test]
fn the_kernel_reads_and_writes_by_itself() {
    watchdog();
    let served = Served::new(true, on_disk());
    let path = served.point.path().join("file");
    // a created file, then one that is opened twice in different ways
    let mut created = fs::File::create(&path).unwrap();
    created.write_all(&[1; 10_000]).unwrap();
    let reader = fs::File::open(&path).unwrap();
    let both = fs::File::options().read(true).write(true).open(&path).unwrap();
    both.write_all_at(&[2; 100], 50).unwrap();
    let mut bytes = [0; 200];
    reader.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!((bytes[49], bytes[50], bytes[149], bytes[150]), (1, 2, 2, 1));
    drop((created, reader, both));
    assert_eq!(fs::read(served.source.path().join("file")).unwrap().len(), 10_000);
    eventually("the releases", || served.count(OperationKind::Release) == 3);
    assert_eq!(served.count(OperationKind::Read), 0);
    assert_eq!(served.count(OperationKind::Write), 0);
    // the next open may decide anew
    assert_eq!(fs::read(&path).unwrap().len(), 10_000);
    served.mount.unmount().unwrap();
}

#[test]
fn a_refused_backing_is_served_without_it() {
    watchdog();
    // one kernel passthrough on another is stacked too deep for the kernel
    let below = Served::new(true, on_disk());
    let source = tempfile::tempdir_in(below.point.path()).unwrap();
    let above = Served::new(true, source);
    let path = above.point.path().join("file");
    fs::write(&path, b"text").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"text");
    // an answer is counted once it was sent
    eventually("the read", || above.count(OperationKind::Read) > 0);
    assert!(logged("kernel passthrough refused"));
    above.mount.unmount().unwrap();
    drop(above);
    below.mount.unmount().unwrap();
}

#[test]
fn programs_run_from_it() {
    watchdog();
    for kernel_passthrough in [false, true] {
        let served = Served::new(kernel_passthrough, on_disk());
        let program = served.point.path().join("true");
        let copied = Command::new("cp").arg("/bin/true").arg(&program).status().unwrap();
        assert!(copied.success());
        assert!(Command::new(&program).status().unwrap().success());
        served.mount.unmount().unwrap();
    }
}
