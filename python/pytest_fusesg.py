"""The pytest plugin of fusesg; see `fusesg.testing` for what it offers.

pytest imports this module in every run wherever fusesg is installed. So it is not in
the package `fusesg`, whose import loads the core, and it imports nothing before a test
uses one of its fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from fusesg.testing import (
        FuseLog,
        LeakCheck,
        MakeClient,
        MakeMount,
        StartProcess,
    )
    from fusesg.testing._case import Case

_USED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the settings of the configuration file."""
    parser.addini(
        "fuse_time_limit",
        "seconds that a callback may take; 0 is no limit",
        default="30",
    )
    parser.addini(
        "fuse_settle_time",
        "seconds after which something that is not gone counts as left behind",
        default="5",
    )
    parser.addini(
        "fuse_ignored_leaks",
        "regular expressions for what a test may leave behind",
        type="linelist",
        default=[],
    )
    parser.addini(
        "fuse_mounts_required",
        "fail tests that mount, where nothing can be mounted, instead of skipping them",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Adds the marker."""
    config.addinivalue_line(
        "markers",
        "fuse_time_limit(seconds): how long a callback may take; 0 is for ever",
    )


@pytest.hookimpl(wrapper=True, trylast=True)  # within pytest's capturing of the log
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fails a test that hung, and says in which callback."""
    if not item.stash.get(_USED, False):
        return (yield)
    from fusesg.testing._fixtures import judged

    with judged(item):
        return (yield)


@pytest.fixture(scope="session")
def fuse_available(request: pytest.FixtureRequest) -> None:
    """Makes a run ready to mount; skips what asks for it where that cannot be."""
    from fusesg.testing._fixtures import prepare

    prepare(request.config)


@pytest.fixture
def _fuse_case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """What a test uses of fusesg, whichever of the fixtures it asks for."""
    from fusesg.testing import _fixtures

    request.node.stash[_USED] = True
    with _fixtures.case(request) as case:
        yield case


@pytest.fixture
def fuse_mount(fuse_available: None, _fuse_case: Case) -> MakeMount:
    """Mounts file systems; unmounted at the end of the test, whatever happens.

    Called with a file system, and optionally a mount point, a `fusesg.Config` and
    options of `fusesg.mount`; returns the `fusesg.Mount`.
    """
    from fusesg.testing._fixtures import mounting

    return mounting(_fuse_case)


@pytest.fixture
def fuse_client(_fuse_case: Case) -> MakeClient:
    """Makes clients of file systems without a mount; closed at the end of the test."""
    return _fuse_case.client


@pytest.fixture
def fuse_process(_fuse_case: Case) -> StartProcess:
    """Starts Python programs in processes of their own; killed at the end."""
    return _fuse_case.processes.start


@pytest.fixture
def fuse_log(_fuse_case: Case) -> FuseLog:
    """What fusesg logs during the test; what is not expected in it fails the test."""
    return _fuse_case.log


@pytest.fixture
def fuse_no_leaks(fuse_available: None, _fuse_case: Case) -> LeakCheck:
    """Fails a test that leaves behind a mount, thread, descriptor or process."""
    return _fuse_case.leak_check()
