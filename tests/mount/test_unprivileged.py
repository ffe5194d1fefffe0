"""What an ordinary user can do: mount through fusermount3, serve, unmount.

Run as root, the tests become nobody; run as somebody else, they stay who they are.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import fusesg

USER = "nobody"

pytestmark = pytest.mark.requires("program fusermount3", "program setpriv")

PROGRAM = """
import os, stat, sys
import fusesg

class Hello(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        mode = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o444
        return fusesg.Attributes(inode=inode, mode=mode, size=5)

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr(2, None, ctx)) if name == "file" else None

    def read(self, inode, handle, offset, size, ctx):
        return b"hello"[offset:offset + size]
"""


class User:
    """Runs programs as an ordinary user, in a directory that belongs to that user."""

    def __init__(self, directory: Path) -> None:
        self.interpreter = sys.executable
        self.directory = directory
        self.mountpoint = directory / "mnt"
        self.source = directory / "source"
        self.environment = os.environ | {
            "PYTHONPATH": str(Path(fusesg.__file__).parents[1])
        }
        self.become: list[str] = []
        self.uid = os.getuid()
        if self.uid == 0:
            entry = pwd.getpwnam(USER)
            self.uid = entry.pw_uid
            self.become = ["setpriv", f"--reuid={entry.pw_uid}"]
            self.become += [f"--regid={entry.pw_gid}", "--clear-groups"]
        for path in (directory, self.mountpoint, self.source):
            path.mkdir(exist_ok=True)
            os.chown(path, self.uid, -1)
        (self.source / "file").write_text("content")

    def start(self, *command: object, **options: object) -> subprocess.Popen[str]:
        """Starts a program."""
        return subprocess.Popen(
            [*self.become, *map(str, command)],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end."""
        process = self.start(*command)
        try:
            output, errors = process.communicate(timeout=30)
        finally:
            process.kill()
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def fusesg(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Runs `fusesg ARGUMENTS`."""
        return self.run(self.interpreter, "-m", "fusesg", *arguments)

    def read(self, name: str) -> str:
        """What the user reads in a file of the mount."""
        result = self.run("cat", self.mountpoint / name)
        return result.stdout or result.stderr

    def python(self, program: str) -> subprocess.Popen[str]:
        """Starts a Python program, which has `PROGRAM` above it."""
        path = self.directory / "program.py"
        path.write_text(PROGRAM + program)
        command = [self.interpreter, path, self.mountpoint, self.source]
        return self.start(*command, stdin=subprocess.PIPE)


@pytest.fixture
def device():
    """Lets everybody open /dev/fuse, as udev does wherever it runs."""
    before = os.stat("/dev/fuse").st_mode
    if os.geteuid() == 0:
        os.chmod("/dev/fuse", 0o666)
    yield
    if os.geteuid() == 0:
        os.chmod("/dev/fuse", stat.S_IMODE(before))


@pytest.fixture
def user(device):
    # what pytest gives belongs to root, who lets nobody in
    directory = Path(tempfile.mkdtemp(prefix="fusesg-user-"))
    try:
        user = User(directory)
        user.interpreter = usable_python(user)
        yield user
    finally:
        for name in ("mnt", ""):
            with contextlib.suppress(subprocess.CalledProcessError):
                while os.path.ismount(directory / name):
                    subprocess.run(["umount", "-l", directory / name], check=True)
        shutil.rmtree(directory)


def usable_python(user):
    """This Python, or the system's where this one lies in root's home."""
    starts_itself = "import fusesg, subprocess, sys; subprocess.check_call"
    for interpreter in (sys.executable, "/usr/bin/python3"):
        command = [interpreter, "-c", f"{starts_itself}([sys.executable, '-c', ''])"]
        if (probe := user.run(*command)).returncode == 0:
            return interpreter
    pytest.skip(f"{USER} may not run any Python that has fusesg: {probe.stderr}")


def mount_line(user):
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return next(
        (line for line in lines if line.split()[1] == str(user.mountpoint)), None
    )


def test_command_line(user):
    result = user.fusesg("mount", "-o", "noexec", user.source, user.mountpoint)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert user.read("file") == "content"
    assert user.run("touch", user.mountpoint / "new").returncode == 0
    assert (user.source / "new").stat().st_uid == user.uid
    device, _, kind, options = mount_line(user).split()[:4]
    assert (device, kind) == (str(user.source), "fuse.fusesg")
    expected = {"nosuid", "nodev", "noexec", f"user_id={user.uid}"}
    assert expected <= set(options.split(","))
    result = user.fusesg("umount", user.mountpoint)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert mount_line(user) is None


def test_a_mount_in_use_is_named_once(user):
    assert user.fusesg("mount", user.source, user.mountpoint).returncode == 0
    inside = user.start(
        "sh", "-c", f"cd {user.mountpoint} && echo there; read _", stdin=-1
    )
    try:
        assert inside.stdout.readline() == "there\n"
        result = user.fusesg("umount", user.mountpoint)
        first = result.stderr.splitlines()[0]
        assert result.returncode == 1
        assert first.lower() == (
            f"fusesg umount: {user.mountpoint} cannot be unmounted: "
            "device or resource busy"
        )
    finally:
        inside.communicate()
    assert user.fusesg("umount", user.mountpoint).returncode == 0


@pytest.mark.requires("root")
def test_nobody_else_may_enter_not_even_root(user):
    assert user.fusesg("mount", "memory:", user.mountpoint).returncode == 0
    with pytest.raises(PermissionError):
        os.listdir(user.mountpoint)
    assert user.fusesg("umount", user.mountpoint).returncode == 0


@pytest.mark.parametrize("source", ["memory:", "some.tar", "program.py:Hello"])
def test_other_sources(user, source):
    (user.directory / "program.py").write_text(PROGRAM)
    subprocess.run(
        ["tar", "-cf", user.directory / "some.tar", "-C", user.source, "file"],
        check=True,
    )
    result = user.fusesg("mount", source, user.mountpoint)
    assert (result.returncode, result.stderr) == (0, "")
    if source == "memory:":
        assert user.run("touch", user.mountpoint / "file").returncode == 0
    assert user.read("file") == {"some.tar": "content", "memory:": ""}.get(
        source, "hello"
    )
    assert user.fusesg("umount", user.mountpoint).returncode == 0
    assert mount_line(user) is None


@pytest.mark.parametrize("command", ["fusermount3 -u", "fusermount3 -uz"])
def test_unmounted_by_others(user, command):
    assert user.fusesg("mount", user.source, user.mountpoint).returncode == 0
    assert user.run(*command.split(), user.mountpoint).returncode == 0
    assert mount_line(user) is None


def test_mount_in_a_program(user):
    program = user.python("""
with fusesg.mount(Hello(), sys.argv[1]) as mount:
    print(open(sys.argv[1] + "/file").read(), mount.is_alive)
print(mount.is_alive, os.path.ismount(sys.argv[1]))
""")
    output, errors = program.communicate(timeout=30)
    assert (output, errors) == ("hello True\nFalse False\n", "")


def test_serve_until_a_signal(user):
    program = user.python("""
fusesg.serve(Hello(), sys.argv[1], on_ready=lambda mount: print("ready", flush=True))
""")
    assert program.stdout.readline() == "ready\n"
    assert user.read("file") == "hello"
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=30)
    assert (program.returncode, errors) == (0, "")
    assert mount_line(user) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_killed_server_leaves_no_mount(user, number, wait_until_unmounted):
    program = user.python("""
mount = fusesg.mount(Hello(), sys.argv[1])
print("ready", flush=True)
mount.wait()
""")
    assert program.stdout.readline() == "ready\n"
    program.send_signal(number)
    program.communicate(timeout=30)
    assert program.returncode == -number
    wait_until_unmounted(user.mountpoint)


def test_settings_that_only_root_can_have(user):
    # offered to the kernel, which declines: nothing fails
    program = user.python("""
config = fusesg.Config.profile("throughput")
with fusesg.mount(fusesg.Passthrough(sys.argv[2]), sys.argv[1], config):
    print(open(sys.argv[1] + "/file").read())
""")
    output, _ = program.communicate(timeout=30)
    assert output == "content\n"


def test_allow_other_is_explained(user):
    with contextlib.suppress(FileNotFoundError):
        lines = Path("/etc/fuse.conf").read_text().splitlines()
        if "user_allow_other" in [line.strip() for line in lines]:
            pytest.skip("/etc/fuse.conf has user_allow_other")
    result = user.fusesg("mount", "-o", "allow_other", user.source, user.mountpoint)
    assert result.returncode == 1
    assert "user_allow_other" in result.stderr
    assert "/etc/fuse.conf" in result.stderr
    assert mount_line(user) is None


@pytest.mark.requires("root")
def test_a_directory_of_somebody_else(user):
    os.chown(user.mountpoint, 0, 0)
    result = user.fusesg("mount", user.source, user.mountpoint)
    assert result.returncode == 1
    assert str(user.mountpoint) in result.stderr
    assert mount_line(user) is None


@pytest.mark.requires("root")
def test_a_mount_of_somebody_else_stays(user):
    command = [sys.executable, "-m", "fusesg"]
    subprocess.run([*command, "mount", "memory:", user.mountpoint], check=True)
    result = user.fusesg("umount", user.mountpoint)
    assert result.returncode == 1
    assert "cannot be unmounted" in result.stderr
    assert mount_line(user) is not None
    subprocess.run([*command, "umount", user.mountpoint], check=True)


@pytest.mark.requires("root", "program unshare")
def test_a_line_of_fstab_that_users_may_mount(user):
    fstab = user.directory / "fstab"
    line = f"{user.source} {user.mountpoint} fuse.fusesg user,noauto,entry_timeout=3"
    fstab.write_text(f"{line} 0 0\n")
    # mount(8) looks for helpers in /sbin and, for users, for lines in /etc/fstab only
    script = """
        set -e
        mount -t tmpfs none "$(realpath /sbin)"
        "$PYTHON" -P -m fusesg install-helper > /dev/null
        test -e /etc/fstab || exit 77
        mount --bind fstab /etc/fstab
        trap 'umount -l "$MNT" 2> /dev/null || true' EXIT
        set +e
        $BECOME sh -c 'mount "$MNT"; cat "$MNT/file"; umount "$MNT"; exit $?' || exit
        findmnt "$MNT" && exit 9
        exit 0
    """
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        cwd=user.directory,
        env=user.environment
        | {"PYTHON": user.interpreter, "MNT": str(user.mountpoint)}
        | {"BECOME": " ".join(user.become)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if result.returncode == 77:
        pytest.skip("this machine has no /etc/fstab")
    assert (result.stdout, result.stderr, result.returncode) == ("content", "", 0)


def test_doctor(user):
    result = user.fusesg("doctor")
    assert (result.returncode, result.stderr) == (0, "")
    assert "fusermount3" in result.stdout
