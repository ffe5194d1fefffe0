"""Fixtures of all tests: real mounts that never outlive their test.

The plugin of `fusesg.testing` does the work, as it does it for users. On top of it:

- `mountpoint`: an empty directory, unmounted at the end whatever happened.
- `source`: an empty directory beside it, for what is shown there.
- `mounted(filesystem, **config)`: a context manager that mounts there.
- `wait_until_unmounted(path)`: returns when nothing is mounted there any more.
- `run_python(program)`, `start_python(program)`: a child process, and its result.
- `expect_log(pattern)`: a warning or an error in the log is right; without it, it fails
  the test.
- `@pytest.mark.requires("root", "linux 6.9", "program setfattr", "file /etc/passwd")`:
  skips, and says why.

Each test that mounts also fails if it leaves a mount, a thread, a descriptor or a
process behind.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import select
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from fusesg.testing import _mounts

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import fusesg
    from fusesg.testing import FuseLog, MakeMount, Process, StartProcess

# An installed fusesg brings it along; a source tree on PYTHONPATH does not.
pytest_plugins = ["pytest_fusesg"]

CHILD_SECONDS = 30.0

# Python 3.12 and later warn at each fork that there are threads
IGNORED = "ignore:This process:DeprecationWarning"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        'requires(*what): skip unless there is all of: "root", "linux MAJOR.MINOR", '
        '"program NAME", "file PATH"',
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
        case ["file", path]:
            return None if os.path.exists(path) else f"needs {path}"
        case _:
            raise ValueError(f"unknown requirement {what!r}")


@pytest.fixture
def mountpoint(tmp_path: Path) -> Iterator[Path]:
    """An empty directory to mount at."""
    directory = tmp_path / "mnt"
    directory.mkdir()
    try:
        yield directory
    finally:
        _mounts.force_unmount(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty directory to show at a mount point."""
    directory = tmp_path / "source"
    directory.mkdir()
    return directory


@pytest.fixture
def mounted(
    mountpoint: Path, fuse_mount: MakeMount
) -> Callable[..., contextlib.AbstractContextManager[fusesg.Mount]]:
    """Mounts at `mountpoint`, or at `at`, for the time of a `with` block."""

    @contextlib.contextmanager
    def mounted(
        filesystem: Any, *, at: Path = mountpoint, **options: Any
    ) -> Iterator[fusesg.Mount]:
        with fuse_mount(filesystem, at, **options) as mount:
            yield mount
        assert not mount.is_alive
        assert os.fspath(at) not in _mounts.below(at)

    return mounted


@pytest.fixture
def wait_until_unmounted(mountpoint: Path) -> Callable[..., None]:
    """Waits until nothing is mounted at a path, or at `mountpoint`.

    Its server may be dead: the table of mounts tells, of which the kernel announces
    each change.
    """

    def wait_until_unmounted(path: Path = mountpoint, timeout: float = 20.0) -> None:
        deadline = time.monotonic() + timeout
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            changed = select.poll()
            changed.register(mounts, select.POLLERR)
            while _mounts.below(path):
                left = deadline - time.monotonic()
                assert left > 0, f"still mounted: {_mounts.below(path)}"
                changed.poll(left * 1000)

    return wait_until_unmounted


@pytest.fixture
def expect_log(fuse_log: FuseLog) -> Callable[[str], None]:
    """Allows, and demands, a warning or an error that a pattern matches."""
    return fuse_log.expect


@pytest.fixture
def start_python(fuse_process: StartProcess) -> StartProcess:
    """Starts a program, given as code or as a file; see `fusesg.testing.Process`."""

    def start(program: str | Path, *arguments: object, **options: Any) -> Process:
        environment = {"PYTHONWARNINGS": IGNORED, **(options.get("env") or os.environ)}
        return fuse_process(program, *arguments, **(options | {"env": environment}))

    return start


@pytest.fixture
def run_python(
    start_python: StartProcess,
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
