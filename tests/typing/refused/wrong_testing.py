"""Fixtures used as they cannot be."""

from fusesg.examples.hello import Hello
from fusesg.testing import FuseLog, MakeClient, MakeMount


def test_wrong(fuse_client: MakeClient, fuse_mount: MakeMount, fuse_log: FuseLog) -> None:
    """Options that are none, and results that are not there."""
    fuse_mount(Hello(), threads=4)  # wrong: call-arg, reportCallIssue
    fuse_mount(Hello(), 5)  # wrong: arg-type, reportArgumentType
    number: int = fuse_client(Hello()).listdir("/")  # wrong: assignment, reportAssignmentType
    fuse_log.expect(number)  # wrong: arg-type, reportArgumentType
