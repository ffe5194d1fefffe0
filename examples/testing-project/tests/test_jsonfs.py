"""What programs see of a document."""

import errno
import json
import os
from pathlib import Path

import pytest
from jsonfs import JsonFilesystem

from fusesg.testing import operation_counts


def test_files_have_the_values(fuse_mount, document):
    root = Path(fuse_mount(JsonFilesystem(document)).path)
    assert sorted(os.listdir(root)) == ["name", "nested", "tags"]
    assert json.loads((root / "name").read_text()) == "jsonfs"
    assert (root / "tags/1").read_text() == '"tested"\n'
    assert (root / "nested/number").stat().st_size == len("1.5\n")
    assert sorted(os.listdir(root / "nested")) == ["nothing", "number"]


def test_nothing_can_be_changed(fuse_mount, document):
    mount = fuse_mount(JsonFilesystem(document))
    with pytest.raises(OSError, match="Read-only file system") as raised:
        Path(mount.path, "new").touch()
    assert raised.value.errno == errno.EROFS


def test_another_process_sees_the_same(fuse_mount, fuse_process, document):
    mount = fuse_mount(JsonFilesystem(document))
    program = "import sys; print(open(sys.argv[1]).read(), end='')"
    result = fuse_process(program, f"{mount.path}/tags/0").finish()
    assert (result.stdout, result.returncode) == ('"small"\n', 0)


def test_without_a_mount(fuse_client, document):
    client = fuse_client(JsonFilesystem(document))
    with client.open_file("/nested/nothing") as file:
        assert file.read() == b"null\n"
    assert operation_counts(client)["lookup"] == len(["nested", "nothing"])


class Broken(JsonFilesystem):
    def read(self, inode, handle, offset, size, ctx):
        raise ZeroDivisionError


def test_a_bug_is_logged(fuse_mount, fuse_log, document):
    mount = fuse_mount(Broken(document))
    fuse_log.expect("Broken.read raised(?s:.*)ZeroDivisionError")
    with pytest.raises(OSError, match="Input/output error"):
        Path(mount.path, "name").read_bytes()
