"""What the fixtures of the plugin are, and what stands behind them.

The plugin itself (`pytest_fusesg`) is loaded in every run of pytest wherever fusesg is
installed. So it imports this module, and with it the core, only when a test uses it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import math
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import pytest

from fusesg.testing import _mounts
from fusesg.testing._case import Case, Limits, observed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from fusesg._client import Client
    from fusesg._config import Config, ConfigOptions
    from fusesg._filesystem import Filesystem
    from fusesg._mount import Mount
    from fusesg.testing._process import Process

_LOG_SECONDS = 2.0
"""How much later a traceback may be logged than the EIO that comes of it."""

_CASE = pytest.StashKey[Case]()
_FAILED = pytest.StashKey[bool]()


class MakeMount(Protocol):
    """What the fixture `fuse_mount` is."""

    def __call__(
        self,
        filesystem: Filesystem | object,
        mountpoint: str | os.PathLike[str] | None = None,
        config: Config | None = None,
        **options: Unpack[ConfigOptions],
    ) -> Mount:
        """Mounts a file system, until the end of the test at the latest.

        Args:
            filesystem: What to serve.
            mountpoint: Where; None is a new directory below `tmp_path`.
            config: As for `fusesg.mount`.
            **options: As for `fusesg.mount`.

        Returns:
            The mount; it may be unmounted, and used as a context manager, but need not.
        """


class MakeClient(Protocol):
    """What the fixture `fuse_client` is."""

    def __call__(
        self,
        filesystem: Filesystem | object,
        **options: Any,  # noqa: ANN401 - those of Client
    ) -> Client:
        """Makes a client, closed at the end of the test.

        Args:
            filesystem: What to use.
            **options: As for `fusesg.Client`.
        """


class StartProcess(Protocol):
    """What the fixture `fuse_process` is."""

    def __call__(
        self,
        program: str | Path,
        *arguments: object,
        **options: Any,  # noqa: ANN401 - those of Popen
    ) -> Process:
        """Starts a Python program in a process of its own, killed at the end.

        Args:
            program: Python code, or the path of a file with it.
            *arguments: What it finds in `sys.argv[1:]`, as text.
            **options: As for `subprocess.Popen`.
        """


@contextlib.contextmanager
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """What one test uses; fails it at its end if something is wrong then."""
    _open_what_stays()
    item, config = request.node, request.config
    limits = Limits(
        time_limit=_time_limit(item),
        settle_time=float(config.getini("fuse_settle_time")),
        ignored_leaks=config.getini("fuse_ignored_leaks"),
    )
    made = Case(request.getfixturevalue("tmp_path"), limits)
    item.stash[_CASE] = made
    with observed(made):
        yield made
        findings = made.finish(is_judged=not item.stash.get(_FAILED, False))
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def _time_limit(item: pytest.Item) -> float | None:
    marker = item.get_closest_marker("fuse_time_limit")
    seconds = float(marker.args[0] if marker else item.config.getini("fuse_time_limit"))
    return seconds if 0 < seconds < math.inf else None


@contextlib.contextmanager
def judged(item: pytest.Item) -> Iterator[None]:
    """The call of a test, which fails if it hung, and with what it hung in."""
    try:
        yield
    except BaseException as error:
        item.stash[_FAILED] = True
        if isinstance(error, OSError) and error.errno == errno.EIO:
            # pytest shows what is logged until the end of the call
            item.stash[_CASE].log.wait_for_any(_LOG_SECONDS)
        if hang := _hang(item):
            raise pytest.fail.Exception(hang, pytrace=False) from error
        raise
    if hang := _hang(item):
        item.stash[_FAILED] = True
        pytest.fail(hang, pytrace=False)


def _hang(item: pytest.Item) -> str | None:
    made = item.stash.get(_CASE, None)
    return made.hang if made else None


@functools.cache
def _open_what_stays() -> None:
    # the first loop of uvloop's opens descriptors that stay: they are no leak of a test
    with contextlib.suppress(ImportError):
        importlib.import_module("uvloop").new_event_loop().close()


def prepare(config: pytest.Config) -> None:
    """Makes a run ready to mount; skips the test, or fails it, if that cannot be."""
    _mounts.remove_stale()
    try:
        _mounts.try_mounting()
    except OSError as error:
        message = f"nothing can be mounted here: {error}"
        if config.getini("fuse_mounts_required"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


def mounting(made: Case) -> MakeMount:
    """`fuse_mount` of one test."""
    made.leak_check()

    def fuse_mount(
        filesystem: Filesystem | object,
        mountpoint: str | os.PathLike[str] | None = None,
        config: Config | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Mount:
        return made.mount(filesystem, mountpoint, config, options)

    return fuse_mount
