"""Who loses set-user-id, set-group-id and capabilities of a file, and when.

A program makes a file for each mode and operation, becomes another user, changes the
file and tells what is left. It runs in a plain directory and on mounts, and what it
finds must be the same.
"""

from __future__ import annotations

import os

import pytest

import fusesg

OWNER, GROUP, OTHER = 1000, 1001, 65534

CALLERS = {
    "root": {"uid": 0, "gid": 0},
    "owner": {"uid": OWNER, "gid": OWNER},
    "owner-in-group": {"uid": OWNER, "gid": GROUP},
    "owner-in-group-by-supplement": {"uid": OWNER, "gid": OWNER, "groups": (GROUP,)},
    "other": {"uid": OTHER, "gid": OTHER},
    "other-in-group": {"uid": OTHER, "gid": GROUP},
}

UNCACHED = {"entry_timeout": 0, "attribute_timeout": 0}


class Overridden(fusesg.Passthrough):
    """Has Python in the way of what strips."""

    def setattr(self, inode, changes, handle, ctx):
        return super().setattr(inode, changes, handle, ctx)

    def open(self, inode, flags, ctx):
        return super().open(inode, flags, ctx)

    def write(self, inode, handle, offset, data, ctx):
        return super().write(inode, handle, offset, data, ctx)

    def fallocate(self, inode, handle, offset, length, mode, ctx):
        return super().fallocate(inode, handle, offset, length, mode, ctx)


LEFT_BY_THE_KERNEL = "of 6666"
"""Where Python is in the way the kernel itself strips, without HANDLE_KILLPRIV_V2: it
sends the mode without set-user-id, and leaves set-group-id without group-execute."""

MOUNTS = {
    "cached": (fusesg.Passthrough, {}),
    "uncached": (fusesg.Passthrough, UNCACHED),
    "by-kernel": (fusesg.Passthrough, {"kernel_passthrough": True}),
    "by-kernel-uncached": (
        fusesg.Passthrough,
        {"kernel_passthrough": True, **UNCACHED},
    ),
    "overridden": (Overridden, {}),
}

PROGRAM = """
backing = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

def opened(name, flags, action):
    file = os.open(name, flags)
    try:
        return action(file)
    finally:
        os.close(file)

def fallocate(file):
    if libc.fallocate(file, 0, 0, 20_000):
        raise OSError(ctypes.get_errno(), "fallocate")

def punch(file):
    if libc.fallocate(file, 3, 0, 4096):
        raise OSError(ctypes.get_errno(), "fallocate")

def copy(file):
    return opened(
        "from", os.O_RDONLY, lambda source: os.copy_file_range(source, file, 10)
    )

def store(file):
    with mmap.mmap(file, 4096) as mapping:
        mapping[0] = 65
        mapping.flush()

R, W, RW = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
OPERATIONS = {
    "nothing": lambda name: opened(name, R, lambda file: os.read(file, 1)),
    "open": lambda name: opened(name, W, lambda file: None),
    "write": lambda name: opened(name, W, lambda file: os.write(file, b"x")),
    "write nothing": lambda name: opened(name, W, lambda file: os.write(file, b"")),
    "write twice": lambda name: opened(
        name, W, lambda file: [os.write(file, b"x") for _ in range(2)]
    ),
    "append": lambda name: opened(
        name, W | os.O_APPEND, lambda file: os.write(file, b"x")
    ),
    "write a page": lambda name: opened(
        name, RW, lambda file: os.write(file, bytes(4096))
    ),
    "store": lambda name: opened(name, RW, store),
    "truncate": lambda name: os.truncate(name, 5),
    "truncate to the same": lambda name: os.truncate(name, 9000),
    "ftruncate": lambda name: opened(name, W, lambda file: os.ftruncate(file, 5)),
    "O_TRUNC": lambda name: opened(name, W | os.O_TRUNC, lambda file: None),
    "O_CREAT and O_TRUNC": lambda name: opened(
        name, W | os.O_CREAT | os.O_TRUNC, lambda file: None
    ),
    "chown": lambda name: os.chown(name, os.geteuid(), os.getegid()),
    "chown to nobody new": lambda name: os.chown(name, -1, -1),
    "fchown": lambda name: opened(
        name, R, lambda file: os.fchown(file, -1, os.getegid())
    ),
    "chmod": lambda name: os.chmod(name, os.stat(name).st_mode & 0o7777),
    "fallocate": lambda name: opened(name, W, fallocate),
    "punch": lambda name: opened(name, W, punch),
    "copy_file_range": lambda name: opened(name, W, copy),
    "utime": lambda name: os.utime(name),
    "setxattr": lambda name: os.setxattr(name, "user.a", b"x"),
}
MODES = (0o6777, 0o6666, 0o4755, 0o4644, 0o2755, 0o2745, 0o2767, 0o2666, 0o6711, 0o0666)
# for any root: cap_net_raw permitted
CAPABILITY = bytes.fromhex("0000000200200000000000000000000000000000")

def prepare(name, mode, capability):
    with open(name, "wb") as file:
        file.write(bytes(9000))
    os.chown(name, 1000, 1001)
    os.chmod(name, mode)
    if capability:
        os.setxattr(name, "security.capability", CAPABILITY)

plan = [(operation, mode, False) for operation in OPERATIONS for mode in MODES]
# a mount hears of a store when it has become a write, which costs the capability
plan += [(operation, 0o666, True) for operation in OPERATIONS if operation != "store"]
os.chmod(".", 0o777)
prepare("from", 0o644, False)
for number, (_, mode, capability) in enumerate(plan):
    prepare(str(number), mode, capability)
os.chdir(backing)
behind = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
os.chdir(directory)
become_user()
found = {}
for number, (operation, mode, capability) in enumerate(plan):
    name = str(number)
    try:
        OPERATIONS[operation](name)
        outcome = "done"
    except OSError as error:
        outcome = errno.errorcode[error.errno]
    seen = stat.S_IMODE(os.stat(name).st_mode)
    real = stat.S_IMODE(os.stat(name, dir_fd=behind).st_mode)
    left = f"{real:04o}" if seen == real else f"{real:04o} but seen as {seen:04o}"
    if capability:
        # read by root, behind the mount, when this has ended
        left = f"capability {name}"
    what = f"{operation} of {mode:04o}{' with a capability' * capability}"
    found[what] = [outcome, left]
json.dump(found, sys.stdout)
"""


def _outcome(as_user, directory, backing, caller):
    """What the program finds, by operation and mode."""
    program = PROGRAM.replace("sys.argv[1]", repr(os.fspath(backing)))
    found = as_user(program, directory, **caller, prepared=True)
    for entry in found.values():
        if entry[1].startswith("capability"):
            name = entry[1].split()[1]
            entry[1] = sorted(os.listxattr(backing / name))
    return found


@pytest.fixture
def oracle(tmp_path, as_user):
    """The outcome in a plain directory."""

    def run(caller):
        directory = tmp_path / "oracle"
        directory.mkdir()
        return _outcome(as_user, directory, directory, caller)

    return run


@pytest.mark.requires("root")
@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize(("kind", "options"), MOUNTS.values(), ids=MOUNTS)
def test_a_mount_strips_what_the_backing_strips(
    mounted, mountpoint, source, as_user, oracle, kind, options, caller
):
    with mounted(kind(os.fspath(source)), allow_other=True, **options):
        found = _outcome(as_user, mountpoint, source, caller)
    expected = oracle(caller)
    differences = {
        what: f"{found[what]} instead of {expected[what]}"
        for what in expected
        if found[what] != expected[what]
        and not (kind is Overridden and what.endswith(LEFT_BY_THE_KERNEL))
    }
    assert not differences


@pytest.mark.requires("root")
def test_the_oracle_strips_at_all(oracle):
    found = oracle(CALLERS["other"])
    assert found["write of 6777"] == ["done", "0777"]
    assert found["O_TRUNC of 6666"] == ["done", "0666"]
    assert found["write of 0666 with a capability"] == ["done", []]
    assert found["nothing of 0666 with a capability"] == [
        "done",
        ["security.capability"],
    ]
    assert found["write of 4755"] == ["EACCES", "4755"]


@pytest.mark.requires("root", "linux 6.9")
def test_kernel_passthrough_is_what_is_tested(mounted, mountpoint, source):
    (source / "file").write_bytes(bytes(9000))
    filesystem = fusesg.Passthrough(os.fspath(source))
    with mounted(filesystem, kernel_passthrough=True) as mount:
        (mountpoint / "file").write_bytes(b"NEW")
    operations = mount.statistics()["operations"]
    assert operations["open"]["count"] == 1
    assert "write" not in operations
