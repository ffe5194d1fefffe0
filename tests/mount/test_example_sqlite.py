"""examples/sqlite.py keeps its files in the database, whole operations at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sqlite3

import pytest

from fusesg.examples import sqlite
from fusesg.examples.sqlite import SqliteFilesystem


@pytest.fixture
def database(tmp_path):
    return os.fspath(tmp_path / "files.db")


def rows(database, sql):
    with sqlite3.connect(database) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_a_tree_is_there_again(mounted, mountpoint, database):
    content = os.urandom(3 * sqlite.BLOCK + 5)
    with mounted(SqliteFilesystem(database)):
        (mountpoint / "a/b").mkdir(parents=True)
        (mountpoint / "a/b/file").write_bytes(content)
        os.link(mountpoint / "a/b/file", mountpoint / "twin")
        os.symlink("a/b", mountpoint / "link")
        os.rename(mountpoint / "a/b", mountpoint / "c")
        with open(mountpoint / "c/file", "r+b") as file:
            file.seek(sqlite.BLOCK - 3)
            file.write(b"across")
        before = (mountpoint / "twin").stat()
    with mounted(SqliteFilesystem(database)):
        assert sorted(os.listdir(mountpoint)) == ["a", "c", "link", "twin"]
        start = sqlite.BLOCK - 3
        expected = content[:start] + b"across" + content[start + 6 :]
        assert (mountpoint / "twin").read_bytes() == expected
        assert (mountpoint / "twin").samefile(mountpoint / "c/file")
        after = (mountpoint / "twin").stat()
        assert (after.st_mtime_ns, after.st_nlink) == (before.st_mtime_ns, 2)
        assert os.readlink(mountpoint / "link") == "a/b"


def test_what_was_cut_off_does_not_come_back(mounted, mountpoint, database):
    with mounted(SqliteFilesystem(database)):
        path = mountpoint / "file"
        path.write_bytes(b"x" * (2 * sqlite.BLOCK))
        for size in (sqlite.BLOCK + 1, sqlite.BLOCK, sqlite.BLOCK - 1, 0):
            os.truncate(path, size)
            os.truncate(path, 3 * sqlite.BLOCK)
            expected = b"x" * size + bytes(3 * sqlite.BLOCK - size)
            assert path.read_bytes() == expected


def test_a_removed_file_is_deleted_with_its_last_user(mounted, mountpoint, database):
    with mounted(SqliteFilesystem(database)):
        with open(mountpoint / "file", "w+b") as file:
            file.write(b"still here")
            file.flush()
            os.unlink(mountpoint / "file")
            assert os.fstat(file.fileno()).st_nlink == 0
            file.seek(0)
            assert file.read() == b"still here"
        (mountpoint / "other").touch()
        os.unlink(mountpoint / "other")
    assert rows(database, "SELECT inode FROM inodes") == [(1,)]
    assert rows(database, "SELECT * FROM blocks") == []


SERVE = """
import sys
import fusesg
from fusesg.examples.sqlite import SqliteFilesystem

fusesg.serve(
    SqliteFilesystem(sys.argv[1]), sys.argv[2],
    on_ready=lambda mount: print("ready", flush=True),
)
"""


def test_after_a_kill_it_is_whole(
    start_python, mounted, mountpoint, database, wait_until_unmounted
):
    server = start_python(SERVE, database, mountpoint)
    assert server.read_line() == "ready"
    with open(mountpoint / "kept", "wb") as file:
        file.write(b"kept")
        os.fsync(file.fileno())
    removed = open(mountpoint / "removed", "wb")  # noqa: SIM115 - its server is killed
    removed.write(b"removed")
    removed.flush()
    os.unlink(mountpoint / "removed")
    server.send_signal(signal.SIGKILL)
    server.wait()
    with pytest.raises(OSError, match=r"not connected|aborted|Input/output"):
        os.fstat(removed.fileno())
    with contextlib.suppress(OSError):
        removed.close()
    wait_until_unmounted()
    with mounted(SqliteFilesystem(database)):
        assert os.listdir(mountpoint) == ["kept"]
        assert (mountpoint / "kept").read_bytes() == b"kept"
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert len(rows(database, "SELECT inode FROM inodes")) == 2


def test_an_operation_that_fails_has_changed_nothing(mounted, mountpoint, database):
    filesystem = SqliteFilesystem(database)
    with mounted(filesystem):
        (mountpoint / "file").write_bytes(b"before")
        pages = filesystem._rows("PRAGMA page_count")[0][0]
        filesystem._rows(f"PRAGMA max_page_count = {pages + 2}")
        full = pytest.raises(OSError, match=re.escape(os.strerror(errno.ENOSPC)))
        with open(mountpoint / "file", "r+b", buffering=0) as file, full:
            file.write(os.urandom(20 * sqlite.BLOCK))
        assert (mountpoint / "file").read_bytes() == b"before"
