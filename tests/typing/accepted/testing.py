"""Tests of a project of one's own, by the fixtures of `fusesg.testing`."""

from typing import assert_type

import fusesg
from fusesg.examples.hello import Hello
from fusesg.testing import FuseLog, MakeClient, MakeMount, StartProcess, leaks


def test_hello(fuse_client: MakeClient, fuse_log: FuseLog) -> None:
    """Without a mount."""
    client = fuse_client(Hello(), read_only=True)
    assert_type(client, fusesg.Client)
    assert client.listdir("/") == ["hello"]
    fuse_log.expect("a pattern")
    assert_type(fuse_log.messages, list[str])
    assert not leaks(client)


def test_on_a_mount(fuse_mount: MakeMount, fuse_process: StartProcess) -> None:
    """With one, used by another process."""
    mount = fuse_mount(Hello(), entry_timeout=60)
    assert_type(mount, fusesg.Mount)
    with fuse_mount(Hello(), mount.path):
        fuse_process("import os, sys; os.listdir(sys.argv[1])", mount.path)
