"""`fusesg mount` and `fusesg umount`, with real mounts and daemons."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import signal
import stat
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest

COUNTED = """
import os, stat, sys
import fusesg

class Counted(fusesg.Filesystem):
    def __init__(self, count: int, *, label: str = "none", deep: bool = False):
        assert isinstance(count, int) and isinstance(deep, bool)
        self.text = f"{count} {label} {deep}\\n".encode()
        print("constructed", file=sys.stderr)

    def getattr(self, inode, handle, ctx):
        mode = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o444
        return fusesg.Attributes(inode=inode, mode=mode, size=len(self.text))

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr(2, None, ctx)) if name == "text" else None

    def read(self, inode, handle, offset, size, ctx):
        return self.text[offset:offset + size]

class Broken(fusesg.Filesystem):
    def __init__(self):
        raise RuntimeError("the constructor is broken")

class Refusing(Counted):
    def init(self):
        raise PermissionError(13, "init says no")

class Nothing:
    pass
"""


@pytest.fixture
def source(source):
    (source / "file").write_text("content")
    return source


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "counted.py"
    path.write_text(COUNTED)
    return path


def mount_line(mountpoint):
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return next((line for line in lines if line.split()[1] == str(mountpoint)), None)


def server_of(mountpoint):
    """The process that has the mount point in its command line, and /dev/fuse open."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if os.fsencode(mountpoint) in command and b"fusesg" in command:
                for descriptor in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{descriptor}") == "/dev/fuse":
                        return int(pid)
    raise AssertionError("no server")


def ended(pidfd, timeout=10):
    return bool(select.select([pidfd], [], [], timeout)[0])


def test_directory_in_the_background(fusesg_command, mountpoint, source):
    result = fusesg_command("mount", source, mountpoint)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (mountpoint / "file").read_text() == "content"
    (mountpoint / "new").write_text("written")
    assert (source / "new").read_text() == "written"
    device, _, kind, options = mount_line(mountpoint).split()[:4]
    assert (device, kind) == (str(source), "fuse.fusesg")
    assert {"rw", "nosuid", "nodev", "default_permissions"} <= set(options.split(","))


def test_daemon_keeps_nothing_of_the_terminal(fusesg_command, mountpoint, source):
    assert fusesg_command("mount", source, mountpoint).returncode == 0
    pid = server_of(mountpoint)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    parent, session, terminal = int(fields[1]), int(fields[3]), int(fields[4])
    assert parent != os.getpid()
    assert session not in {pid, os.getsid(0)}  # not its leader: no terminal, ever
    assert terminal == 0


def test_umount_ends_the_daemon(fusesg_command, mountpoint, source):
    assert fusesg_command("mount", source, mountpoint).returncode == 0
    pidfd = os.pidfd_open(server_of(mountpoint))
    result = fusesg_command("umount", mountpoint)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert mount_line(mountpoint) is None
    assert ended(pidfd)
    os.close(pidfd)


def test_sigterm_to_the_daemon_unmounts(fusesg_command, mountpoint, source):
    assert fusesg_command("mount", source, mountpoint).returncode == 0
    pid = server_of(mountpoint)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    assert ended(pidfd)
    os.close(pidfd)
    assert mount_line(mountpoint) is None


def test_mount_options(fusesg_command, mountpoint, source):
    options = "ro,noexec,fsname=a name,subtype=other"
    result = fusesg_command("mount", "-o", options, source, mountpoint)
    assert result.stderr == ""
    device, _, kind, shown = mount_line(mountpoint).split()[:4]
    assert (device, kind) == ("a\\040name", "fuse.other")
    assert {"ro", "noexec"} <= set(shown.split(","))
    with pytest.raises(OSError, match="Read-only"):
        (mountpoint / "new").touch()


def test_an_archive(fusesg_command, mountpoint, source, tmp_path):
    path = tmp_path / "backup.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(source, "")
    result = fusesg_command("mount", path, mountpoint)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (mountpoint / "file").read_text() == "content"
    device, _, _, options = mount_line(mountpoint).split()[:4]
    assert device == str(path)
    assert "ro" in options.split(",")


def test_a_compressed_archive_is_explained(fusesg_command, mountpoint, tmp_path):
    path = tmp_path / "backup.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("file"))
    result = fusesg_command("mount", path, mountpoint)
    assert result.returncode != 0
    assert "compressed; decompress it" in result.stderr
    assert mount_line(mountpoint) is None


def test_memory(fusesg_command, mountpoint):
    options = "size=1m,noexec,inodes=1k,uid=5,gid=6,mode=1770"
    result = fusesg_command("mount", "-o", options, "memory:", mountpoint)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    root, shown = os.stat(mountpoint), os.statvfs(mountpoint)
    assert (root.st_uid, root.st_gid) == (5, 6)
    assert stat.S_IMODE(root.st_mode) == 0o1770
    assert (shown.f_blocks * shown.f_frsize, shown.f_files) == (1 << 20, 1024)
    device, _, kind, options = mount_line(mountpoint).split()[:4]
    assert (device, kind) == ("memory:", "fuse.fusesg")
    assert "noexec" in options.split(",")
    (mountpoint / "file").write_text("content")
    assert (mountpoint / "file").read_text() == "content"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "size=lots"], "-o size=lots: expected a number, which may end in"),
        (["-o", "size"], "-o size: expected a number"),
        (["-o", "size=0"], "-o: size"),
        (["-o", "uid=me"], "-o uid=me: expected the number of a user or group"),
        (["-o", "mode=8"], "-o mode=8: expected octal digits"),
        (["-o", "sizes=1"], "unknown option 'sizes'"),
        (["--set", "size=1"], "--set is for classes"),
    ],
)
def test_options_of_memory_that_cannot_be(
    fusesg_command, mountpoint, arguments, message
):
    result = fusesg_command("mount", *arguments, "memory:", mountpoint)
    assert result.returncode == 1
    assert message in result.stderr
    assert mount_line(mountpoint) is None


@pytest.mark.parametrize("how", ["file", "module"])
def test_class_with_arguments(fusesg_command, mountpoint, module, how):
    name = {"file": "counted.py:Counted", "module": "counted:Counted"}[how]
    settings = ["--set", "count=3", "--set", "label=a=b", "--set", "deep=yes"]
    result = fusesg_command("mount", name, mountpoint, *settings)
    assert result.returncode == 0
    assert result.stderr == "constructed\n"  # what it says until it is ready is seen
    assert (mountpoint / "text").read_text() == "3 a=b True\n"


def test_tar_example(fusesg_command, mountpoint, examples, tmp_path):
    with tarfile.open(tmp_path / "some.tar", "w") as tar:
        tar.add(examples, "examples")
    # a relative path: the daemon keeps the working directory until it is ready
    name = f"{examples}/tar.py:TarFilesystem"
    result = fusesg_command("mount", name, mountpoint, "--set", "path=some.tar")
    assert (result.returncode, result.stderr) == (0, "")
    copied = (mountpoint / "examples/tar.py").read_bytes()
    assert copied == (examples / "tar.py").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "/nowhere does not exist"),
        (
            ["counted.py"],
            "is not a directory; to mount a class in it: counted.py:Class",
        ),
        (
            ["/etc/passwd"],
            "/etc/passwd: not a tar or zip archive",
        ),
        (["missing.py:Class"], "missing.py does not exist"),
        (["missing:Class"], "there is no module missing"),
        (["counted.py:Countde"], "has no Countde; it has Counted, Broken, Refusing"),
        (["counted.py:Nothing"], "is not a fusesg.Filesystem"),
        (["counted.py:Counted"], "missing a required argument: 'count'"),
        (
            ["counted.py:Counted", "--set", "cout=1"],
            "has no such argument; did you mean count? it takes count=VALUE",
        ),
        (["source", "--set", "x=1"], "Passthrough has no such argument; it takes no"),
        (["counted.py:Counted", "--set", "count=x"], "count=x: expected an integer"),
        (["counted.py:Counted", "--set", "count"], "--set count: expected key=value"),
        (["counted.py:Broken"], "RuntimeError: the constructor is broken"),
        (["counted.py:Refusing", "--set", "count=1"], "init says no"),
        (["source", "-o", "entry_timout=1"], "did you mean entry_timeout"),
        (["source", "-o", "max_write=1"], "max_write must be an integer from 4096"),
    ],
)
@pytest.mark.parametrize("foreground", [False, True])
def test_errors_are_told(
    fusesg_command, mountpoint, module, source, arguments, message, foreground
):
    first, *rest = arguments
    flags = ["--foreground"] if foreground else []
    result = fusesg_command("mount", first, mountpoint, *rest, *flags)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.replace("constructed\n", "").startswith("fusesg mount: ")
    assert result.stdout == ""
    assert mount_line(mountpoint) is None


@pytest.mark.parametrize(
    ("text", "source", "first", "last"),
    [
        (
            "import fusesg\n1 / 0\n",
            "own.py:A",
            "line 2, in <module>",
            "ZeroDivisionErr",
        ),
        ("import fusesg\nx = (\n", "own.py:A", "line 2", "SyntaxError: "),
        ("import fusesg\n1 / 0\n", "own:A", "line 2, in <module>", "ZeroDivisionErr"),
        (COUNTED, "own.py:Broken", "in __init__", "RuntimeError: the constructor is"),
    ],
)
def test_a_traceback_begins_in_the_users_file(
    fusesg_command, mountpoint, tmp_path, text, source, first, last
):
    path = tmp_path / "own.py"
    path.write_text(text)
    result = fusesg_command("mount", source, mountpoint)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if 'File "' in line]
    assert len(lines) == 1
    assert f'"{path}", ' in lines[0]
    assert first in lines[0]
    assert last in result.stderr.splitlines()[-1]


def test_a_method_that_cannot_be_called_needs_no_traceback(
    fusesg_command, mountpoint, tmp_path
):
    text = COUNTED.replace("offset, size, ctx", "offset")
    (tmp_path / "own.py").write_text(text)
    result = fusesg_command("mount", "own.py:Counted", mountpoint, "--set", "count=1")
    assert result.returncode == 1
    assert "Counted.read(inode, handle, offset) does not take" in result.stderr
    assert "File " not in result.stderr


def test_the_port_for_metrics_is_told(fusesg_command, mountpoint, source):
    result = fusesg_command("mount", source, mountpoint, "--metrics", "127.0.0.1:0")
    assert result.returncode == 0
    (address,) = re.findall(r"metrics are at (http://127.*/metrics)\n", result.stderr)
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert b"fusesg_uptime_seconds" in answer.read()
    told = fusesg_command("statistics", mountpoint).stdout.splitlines()[0]
    assert told.endswith(f", metrics at {address[7:-8]}")
    assert fusesg_command("umount", mountpoint).returncode == 0


def test_trace_that_nobody_would_see(fusesg_command, mountpoint, source):
    result = fusesg_command("mount", source, mountpoint, "--trace")
    assert result.returncode == 1
    assert "--trace in the background needs --log-file" in result.stderr
    assert mount_line(mountpoint) is None


def test_a_directory_over_a_file(fusesg_command, source, tmp_path):
    mountpoint = tmp_path / "file"
    mountpoint.write_text("still here")
    result = fusesg_command("mount", source, mountpoint)
    assert result.returncode == 1
    assert f"cannot be mounted over the file {mountpoint};" in result.stderr
    assert mountpoint.read_text() == "still here"


def test_missing_mountpoint(fusesg_command, source, tmp_path):
    result = fusesg_command("mount", source, tmp_path / "missing")
    assert result.returncode == 1
    assert "does not exist" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground_until_a_signal(mountpoint, source, number):
    with (
        open("/proc/self/mounts") as mounts,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "fusesg",
                "mount",
                source,
                mountpoint,
                "-f",
                "--trace",
            ],
            stderr=subprocess.PIPE,
            text=True,
        ) as server,
    ):
        changed = select.poll()
        changed.register(mounts, select.POLLERR)
        while mount_line(mountpoint) is None and server.poll() is None:
            changed.poll(100)
        assert (mountpoint / "file").read_text() == "content"
        server.send_signal(number)
        _, trace = server.communicate(timeout=10)
    assert server.returncode == 0
    assert mount_line(mountpoint) is None
    assert "lookup" in trace.lower()


def test_log_file(fusesg_command, mountpoint, source, tmp_path):
    log = tmp_path / "log"
    options = ["--trace", "--log-file", log]
    result = fusesg_command("mount", source, mountpoint, *options)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (mountpoint / "file").read_bytes()
    pidfd = os.pidfd_open(server_of(mountpoint))
    assert fusesg_command("umount", mountpoint).returncode == 0
    assert ended(pidfd)
    os.close(pidfd)
    assert "lookup" in log.read_text().lower()
    assert stat.S_IMODE(log.stat().st_mode) & 0o022 == 0


class TestUmount:
    def test_nothing_there(self, fusesg_command, tmp_path):
        result = fusesg_command("umount", tmp_path / "missing")
        assert result.returncode == 1
        assert "does not exist" in result.stderr

    def test_no_mount_point(self, fusesg_command, tmp_path):
        result = fusesg_command("umount", tmp_path)
        assert result.returncode == 1
        assert "is not a mount point" in result.stderr

    @pytest.mark.requires("root")
    def test_foreign_mount_is_left_alone(self, fusesg_command, mountpoint):
        subprocess.run(["mount", "-t", "tmpfs", "foreign", mountpoint], check=True)
        try:
            result = fusesg_command("umount", mountpoint)
            assert result.returncode == 1
            assert "is no mount of fusesg but of type tmpfs" in result.stderr
            assert mount_line(mountpoint) is not None
            assert fusesg_command("umount", "--force", mountpoint).returncode == 0
            assert mount_line(mountpoint) is None
        finally:
            if mount_line(mountpoint):
                subprocess.run(["umount", mountpoint], check=True)

    def test_busy_names_who_uses_it(self, fusesg_command, mountpoint, source):
        assert fusesg_command("mount", source, mountpoint).returncode == 0
        pidfd = os.pidfd_open(server_of(mountpoint))
        with open(mountpoint / "file") as file:
            result = fusesg_command("umount", mountpoint)
            assert result.returncode == 1
            assert "busy" in result.stderr
            assert f"(pid {os.getpid()})" in result.stderr
            assert "--lazy" in result.stderr
            assert fusesg_command("umount", "--lazy", mountpoint).returncode == 0
            assert mount_line(mountpoint) is None
            assert file.read() == "content"  # its last user can go on
        assert ended(pidfd)
        os.close(pidfd)

    def test_through_a_symbolic_link(
        self, fusesg_command, mountpoint, source, tmp_path
    ):
        (tmp_path / "link").symlink_to(mountpoint)
        assert fusesg_command("mount", source, mountpoint).returncode == 0
        assert fusesg_command("umount", "link").returncode == 0
        assert mount_line(mountpoint) is None

    def test_strange_path(self, fusesg_command, source, tmp_path, mountpoint):
        strange = mountpoint / "a b\\c\nd"
        strange.mkdir()
        assert fusesg_command("mount", source, strange).returncode == 0
        assert (strange / "file").read_text() == "content"
        assert fusesg_command("umount", strange).returncode == 0
        assert not (strange / "file").exists()


def test_all_of_the_machine(fusesg_command, mountpoint):
    result = fusesg_command("mount", "/", mountpoint, "-o", "read_only")
    assert result.returncode == 0
    # the terminal is told before the command goes on in the background
    assert f"{mountpoint} lies in /, which is shown there" in result.stderr
    pidfd = os.pidfd_open(server_of(mountpoint))
    below = mountpoint / mountpoint.relative_to("/")
    for directory in (mountpoint, below.parent):
        command = ["find", directory, "-maxdepth", "1", "-printf", "%f\n"]
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False
        )
        named = set(found.stdout.splitlines()[1:])
        assert named >= set(os.listdir("/" / directory.relative_to(mountpoint))) - {
            mountpoint.name
        }
    assert os.strerror(errno.ELOOP) in found.stderr
    with pytest.raises(OSError, match="Too many levels"):
        os.listdir(below)
    assert fusesg_command("umount", mountpoint).returncode == 0
    assert ended(pidfd)
    os.close(pidfd)
