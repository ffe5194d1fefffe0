"""Fixtures of all tests: real mounts that never outlive their test.

- `mountpoint`: an empty directory, unmounted at the end whatever happened.
- `mounted(filesystem, **config)`: a context manager that mounts there.
- `run_python(program)`, `start_python(program)`: the same in a child process.
- `expect_log(pattern)`: a warning or an error in the log is right; without it, it fails
  the test.
- `@pytest.mark.requires("root", "linux 6.9", "program setfattr")`: skips, and says why.

Each test that mounts also fails if it leaves a mount, a thread, a descriptor or a
process behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fusesg
from fusesg import _core
from fusesg.examples.hello import Hello

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTLE_SECONDS = 5.0
"""How long what has been ended may take to disappear from /proc."""

CHILD_SECONDS = 30.0

# Python 3.12 and later warn at each fork that there are threads
IGNORED = "ignore:This process:DeprecationWarning"
CHILD = (sys.executable, "-X", "faulthandler", "-W", IGNORED)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        'requires(*what): skip unless there is all of: "root", "linux MAJOR.MINOR", '
        '"program NAME", "fusermount3 for users"',
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        for what in marker.args:
            if missing := _missing(what):
                pytest.skip(missing)


def _missing(what: str) -> str | None:
    match what.split(maxsplit=1):
        case ["root"]:
            return None if os.geteuid() == 0 else "needs root"
        case ["linux", version]:
            wanted = tuple(map(int, version.split(".")))
            found = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
            release = platform.release()
            return None if found >= wanted else f"needs Linux {version}, not {release}"
        case ["program", name]:
            return None if shutil.which(name) else f"needs the program {name}"
        case _:
            raise ValueError(f"unknown requirement {what!r}")


# Mounts


def mounts_below(directory: Path) -> list[str]:
    """The mount points at and below a directory, by the kernel's table.

    The table tells it without asking a server, which may be dead.
    """
    prefix = os.fspath(directory)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
        paths = [_unescape(line.split(" ")[4]) for line in f]
    return [path for path in paths if path == prefix or path.startswith(f"{prefix}/")]


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def force_unmount(directory: Path) -> None:
    """Takes away what is mounted at and below a directory; nobody hangs on it then."""
    mnt_force, mnt_detach = 1, 2
    libc = ctypes.CDLL(None, use_errno=True)
    for path in reversed(mounts_below(directory)):
        if os.geteuid() == 0:
            # forced: the connection is aborted, so that nothing hangs on it any more
            libc.umount2(os.fsencode(path), mnt_force)
            libc.umount2(os.fsencode(path), mnt_detach)
        else:
            subprocess.run(["fusermount3", "-uz", "--", path], check=False)


@pytest.fixture
def mountpoint(tmp_path: Path) -> Iterator[Path]:
    """An empty directory to mount at."""
    directory = tmp_path / "mnt"
    directory.mkdir()
    try:
        yield directory
    finally:
        force_unmount(tmp_path)


@pytest.fixture
def mounted(
    mountpoint: Path, leaves_nothing: None, fusesg_log: LogRecords
) -> Callable[..., contextlib.AbstractContextManager[fusesg.Mount]]:
    """Mounts at `mountpoint`, or at `at`, for the time of a `with` block."""
    del leaves_nothing, fusesg_log

    @contextlib.contextmanager
    def mounted(
        filesystem: Any, *, at: Path = mountpoint, **options: Any
    ) -> Iterator[fusesg.Mount]:
        with fusesg.mount(filesystem, at, **options) as mount:
            yield mount
        assert not mount.is_alive
        assert os.fspath(at) not in mounts_below(at)

    return mounted


# What a test leaves behind


class _Rest:
    """What there is of this process now."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.mounts = set(mounts_below(directory))
        self.threads = {
            task: _first_line(f"/proc/self/task/{task}/comm")
            for task in os.listdir("/proc/self/task")
        }
        self.descriptors = _descriptors()
        self.processes = _processes(directory)

    def new(self) -> list[str]:
        """What there is now that was not there then."""
        now = _Rest(self._directory)
        found = [f"mount {path}" for path in now.mounts - self.mounts]
        for kind in ("threads", "descriptors", "processes"):
            then, later = getattr(self, kind), getattr(now, kind)
            found += [
                f"{kind[:-1]} {key}: {later[key]}" for key in later.keys() - then.keys()
            ]
        return found


def _descriptors() -> dict[str, str]:
    found = {}
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed the directory
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            # what pytest itself opens to capture output
            if "/proc/" not in target and "(deleted)" not in target:
                found[f"{descriptor} -> {target}"] = target
    return found


def _processes(directory: Path) -> dict[str, str]:
    """Children, and processes that serve or watch a mount below the directory."""
    found = {}
    me = str(os.getpid())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            is_watcher = os.fsencode(directory) in command and pid != me
            if parent == me or is_watcher:
                found[pid] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


@pytest.fixture
def leaves_nothing(tmp_path: Path, warm: None) -> Iterator[None]:
    """Fails a test that leaves something behind."""
    del warm
    before = _Rest(tmp_path)
    yield
    # Threads and processes that have been waited for stay in /proc for a moment, and
    # the kernel has no event for when they go.
    deadline = time.monotonic() + SETTLE_SECONDS
    pause = threading.Event()
    while (left := before.new()) and time.monotonic() < deadline:
        pause.wait(0.01)
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One mount, so that what a process starts only once is there before the tests."""
    directory = tmp_path_factory.mktemp("warm")
    try:
        with fusesg.mount(Hello(), directory):
            pass
    except OSError as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    finally:
        force_unmount(directory)


# The log


class LogRecords(logging.Handler):
    """The warnings and errors of one test, and which of them are expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[str] = []
        self._expected: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._messages.append(record.getMessage())
            self._changed.notify_all()

    def expect(self, pattern: str) -> None:
        """There must be a message that the pattern matches somewhere."""
        self._expected.append(pattern)

    def wait_for(self, pattern: str, timeout: float = 10.0) -> str:
        """Expects such a message, waits for it and returns it."""
        self.expect(pattern)
        with self._changed:
            assert self._changed.wait_for(lambda: self._find(pattern), timeout), (
                f"nothing like {pattern!r} in the log: {self._messages}"
            )
            return self._find(pattern)[0]

    def _find(self, pattern: str) -> list[str]:
        return [text for text in self._messages if re.search(pattern, text)]

    def check(self) -> None:
        """What was expected was logged, and nothing else was."""
        for pattern in self._expected:
            with self._changed:
                self._changed.wait_for(lambda: self._find(pattern), SETTLE_SECONDS)  # noqa: B023
            assert self._find(pattern), f"nothing like {pattern!r} in the log"
        unexpected = [
            text
            for text in self._messages
            if not any(re.search(pattern, text) for pattern in self._expected)
        ]
        assert not unexpected, f"unexpected in the log: {unexpected}"


@pytest.fixture
def fusesg_log() -> Iterator[LogRecords]:
    """The log of fusesg during this test."""
    records = LogRecords()
    logger = logging.getLogger("fusesg")
    logger.addHandler(records)
    yield records
    # what is still queued belongs to this test
    while record := _core.next_log_record(0):
        level, _target, message = record
        logger.log(level, "%s", message)
    # the log's own thread may have taken one that it has yet to hand on
    try:
        records.check()
    finally:
        logger.removeHandler(records)


@pytest.fixture
def expect_log(fusesg_log: LogRecords) -> Callable[[str], None]:
    """Allows, and demands, a warning or an error that a pattern matches."""
    return fusesg_log.expect


# Child processes


class PythonChild(subprocess.Popen[str]):
    """A Python program in a session of its own; killed at the end of its test."""

    def read_line(self, timeout: float = CHILD_SECONDS) -> str:
        """A line that the program prints; fails if there is none in time."""
        assert self.stdout is not None
        readable, _, _ = select.select([self.stdout], [], [], timeout)
        assert readable, f"the child printed nothing for {timeout} s"
        return self.stdout.readline().rstrip("\n")

    def finish(
        self, timeout: float = CHILD_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Waits for its end; one that hangs must say where, and fails the test."""
        try:
            output, errors = self.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            threads = threads_of_session(self.pid)
            self.send_signal(signal.SIGABRT)  # faulthandler prints where it hangs
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, errors = self.communicate(timeout=5)
                pytest.fail(f"the child hung:\n{output}\n{errors}\n{threads}")
            pytest.fail(f"the child hung and could not be ended:\n{threads}")
        return subprocess.CompletedProcess(self.args, self.returncode, output, errors)


def threads_of_session(session: int) -> str:
    """What every thread of a session's processes does in the kernel, a line each."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            for thread in (process / "task").iterdir():
                name, place, status = (
                    (thread / file).read_text().strip()
                    for file in ("comm", "wchan", "stat")
                )
                state = status.rpartition(")")[2].split()[0]
                lines.append(f"{process.name}/{thread.name} {name} {state} {place}")
    return "\n".join(lines)


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Callable[..., PythonChild]]:
    """Starts a program, given as code or as a file; see `PythonChild`."""
    children: list[PythonChild] = []

    def start(program: str | Path, *arguments: object, **options: Any) -> PythonChild:
        if isinstance(program, str):
            path = tmp_path / f"program-{len(children)}.py"
            path.write_text(program)
        else:
            path = program
        child = PythonChild(
            [*CHILD, path, *map(str, arguments)],
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "start_new_session": True,
                **options,
            },
        )
        children.append(child)
        return child

    yield start
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    force_unmount(tmp_path)  # frees a child that waits for its own mount
    for child in children:
        child.communicate(timeout=SETTLE_SECONDS)


@pytest.fixture
def run_python(
    start_python: Callable[..., PythonChild],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program to its end, which must come within `timeout` seconds."""

    def run(
        program: str | Path,
        *arguments: object,
        timeout: float = CHILD_SECONDS,
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        return start_python(program, *arguments, **options).finish(timeout)

    return run
