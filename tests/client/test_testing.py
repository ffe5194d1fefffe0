"""`fusesg.testing` finds what a test leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

HEADER = """
import fusesg
from fusesg.examples.hello import Hello
"""


def outcomes(pytester: pytest.Pytester, test: str) -> pytest.RunResult:
    pytester.makeconftest('pytest_plugins = ["fusesg.testing"]')
    pytester.makepyfile(HEADER + test)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider")


def test_a_test_that_closes_what_it_opens_passes(pytester: pytest.Pytester) -> None:
    result = outcomes(
        pytester,
        """
def test_hello(fuse_client):
    client = fuse_client(Hello(), max_pages=1)
    with client.open_file("hello") as file:
        assert file.read() == b"Hello from Python\\n"
""",
    )
    result.assert_outcomes(passed=1)


def test_an_open_file_is_told_of(pytester: pytest.Pytester) -> None:
    result = outcomes(
        pytester,
        """
def test_hello(fuse_client):
    fuse_client(Hello()).open("hello")
""",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left behind: *1 open files*lookups not given back*"])


def test_a_traceback_in_the_log_is_told_of(pytester: pytest.Pytester) -> None:
    broken = """
class Broken(Hello):
    def read(self, inode, handle, offset, size, ctx):
        return 5

def use(client):
    with client.open_file("hello") as file:
        try:
            file.read()
        except OSError:
            pass
"""
    result = outcomes(
        pytester,
        broken
        + """
def test_not_expected(fuse_client):
    use(fuse_client(Broken()))

def test_expected(fuse_client, fuse_log):
    fuse_log.expect("read")
    use(fuse_client(Broken()))
""",
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*in the log, and not expected*"])
