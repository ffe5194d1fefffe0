"""A writable file system in an SQLite database: each operation is one transaction.

    fusesg mount sqlite.py:SqliteFilesystem MOUNTPOINT --set path=FILES.db

The database is made if it is not there. However the program ends, an operation has
happened as a whole or not at all, and what fsync(2) was called for is on the disk.
"""

import errno
import functools
import os
import sqlite3
import stat
import threading
import time
from collections import Counter

import fusesg
from fusesg import ROOT_INODE, Attributes, DirectoryEntry

BLOCK = 16_384  # bytes of a file in one row; fewer where the rest is zeros
LARGEST_FILE, LONGEST_NAME = 1 << 40, 255  # bytes

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;  -- whole after a crash, on the disk after `fsync`
CREATE TABLE IF NOT EXISTS inodes (
    inode INTEGER PRIMARY KEY AUTOINCREMENT,  -- no number is given twice
    mode INTEGER, uid INTEGER, gid INTEGER, rdev INTEGER, size INTEGER DEFAULT 0,
    atime_ns INTEGER, mtime_ns INTEGER, ctime_ns INTEGER
);
CREATE TABLE IF NOT EXISTS names (  -- as bytes: not every name is a text
    parent INTEGER, name BLOB, inode INTEGER, PRIMARY KEY (parent, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS links ON names (inode);
CREATE TABLE IF NOT EXISTS blocks (  -- of a symbolic link: its target
    inode INTEGER, number INTEGER, data BLOB, PRIMARY KEY (inode, number)
);
CREATE TRIGGER IF NOT EXISTS deleted AFTER DELETE ON inodes BEGIN
    DELETE FROM blocks WHERE inode = old.inode;
END;
"""
DELETE_UNNAMED = "DELETE FROM inodes WHERE inode NOT IN (SELECT inode FROM names)"
CHANGED = "UPDATE inodes SET ctime_ns = :now WHERE inode = :inode"
CONTENT_CHANGED = """UPDATE inodes SET mtime_ns = :now, ctime_ns = :now
WHERE inode = :inode"""
ATTRIBUTES = """SELECT *,
    (SELECT COUNT(*) FROM names WHERE names.inode = inodes.inode) AS nlink,
    (SELECT (IFNULL(SUM(LENGTH(data)), 0) + 511) / 512 FROM blocks
     WHERE blocks.inode = inodes.inode) AS blocks
FROM inodes WHERE inode = ?"""


def transaction(method):
    """An operation that happens as a whole, one at a time, or not at all."""

    @functools.wraps(method)
    def whole(self, *arguments):
        try:
            with self._lock, self._db:
                return method(self, *arguments)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, "the database cannot grow") from error
            raise

    return whole


class SqliteFilesystem(fusesg.PathFilesystem):
    """What is in the database at `path`. The handle of an open file is its inode."""

    def __init__(self, path):
        self._lock = threading.Lock()
        self._opened: Counter[int] = Counter()  # handles by inode
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(SCHEMA)
        self._db.execute(DELETE_UNNAMED)  # were still open
        if not self._rows("SELECT * FROM names"):
            with self._db:  # the root has the empty name, in itself
                self._create("", stat.S_IFDIR | 0o755, os.getuid(), os.getgid())

    # Rows

    def _rows(self, sql, *values):
        return self._db.execute(sql, values).fetchall()

    def _attributes(self, inode):
        return Attributes(**self._rows(ATTRIBUTES, inode)[0])

    def _child(self, parent, name):
        sql = "SELECT inode FROM names WHERE parent = ? AND name = ?"
        return next((row["inode"] for row in self._rows(sql, parent, name)), None)

    def _split(self, path):
        """The inode of the directory that a path is in, and the last name."""
        *directories, last = os.fsencode(path).split(b"/")
        if len(last) > LONGEST_NAME:
            raise OSError(errno.ENAMETOOLONG, "name too long", path)
        parent = ROOT_INODE
        for name in directories[1:]:
            parent = self._child(parent, name)
        return parent, last

    def _find(self, path):
        inode = self._child(*self._split(path))
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        return inode

    def _touch(self, *inodes, sql=CHANGED):
        for inode in inodes:
            self._db.execute(sql, {"inode": inode, "now": time.time_ns()})

    def _create(self, path, mode, uid, gid, rdev=0):
        sql = """INSERT INTO inodes (mode, uid, gid, rdev, atime_ns, mtime_ns, ctime_ns)
                 VALUES (?, ?, ?, ?, ?, ?, ?)"""
        times = [time.time_ns()] * 3
        inode = self._db.execute(sql, (mode, uid, gid, rdev, *times)).lastrowid
        self._add(path, inode)
        return inode

    def _create_for(self, ctx, path, mode, rdev=0):
        directory = self._attributes(self._split(path)[0])
        if not directory.mode & stat.S_ISGID:
            return self._create(path, mode, ctx.uid, ctx.gid, rdev)
        # such a directory passes its group on
        mode |= stat.S_ISGID if stat.S_ISDIR(mode) else 0
        return self._create(path, mode, ctx.uid, directory.gid, rdev)

    def _add(self, path, inode):
        parent, name = self._split(path)
        self._rows("INSERT INTO names VALUES (?, ?, ?)", parent, name, inode)
        self._touch(inode)
        self._touch(parent, sql=CONTENT_CHANGED)

    def _remove(self, path):
        (parent, name), inode = self._split(path), self._find(path)
        if self._rows("SELECT 1 FROM names WHERE parent = ? LIMIT 1", inode):
            raise OSError(errno.ENOTEMPTY, "directory is not empty", path)
        self._rows("DELETE FROM names WHERE parent = ? AND name = ?", parent, name)
        self._touch(inode)
        self._touch(parent, sql=CONTENT_CHANGED)
        self._delete_if_unused(inode)

    def _delete_if_unused(self, inode):
        if not self._opened[inode]:
            del self._opened[inode]
            self._rows(f"{DELETE_UNNAMED} AND inode = ?", inode)

    # Names

    @transaction
    def mknod(self, path, mode, rdev, ctx):
        self._create_for(ctx, path, mode, rdev)

    @transaction
    def mkdir(self, path, mode, ctx):
        self._create_for(ctx, path, stat.S_IFDIR | mode)

    @transaction
    def symlink(self, path, target, ctx):
        inode = self._create_for(ctx, path, stat.S_IFLNK | 0o777)
        self._write(inode, 0, os.fsencode(target))

    @transaction
    def readlink(self, path, ctx):
        return os.fsdecode(bytes(self._read(self._find(path), 0, BLOCK)))

    @transaction
    def link(self, path, new_path, ctx):
        self._add(new_path, self._find(path))

    @transaction
    def unlink(self, path, ctx):
        self._remove(path)

    @transaction
    def rmdir(self, path, ctx):
        self._remove(path)

    @transaction
    def rename(self, path, new_path, flags, ctx):
        parent, name = self._split(path)
        new_parent, new_name = self._split(new_path)
        inode, target = self._find(path), self._child(new_parent, new_name)
        if flags == fusesg.RENAME_EXCHANGE:
            sql = "UPDATE names SET inode = ? WHERE parent = ? AND name = ?"
            self._rows(sql, target, parent, name)
            self._rows(sql, inode, new_parent, new_name)
        elif flags not in {0, fusesg.RENAME_NOREPLACE}:
            raise OSError(errno.EINVAL, f"rename flags {flags:#x}")
        elif target and flags:
            raise FileExistsError(errno.EEXIST, "name exists", new_path)
        elif target == inode:
            return  # two names of one file: POSIX says that nothing happens
        else:
            if target:
                self._remove(new_path)
            sql = "UPDATE names SET parent = ?, name = ? WHERE parent = ? AND name = ?"
            self._rows(sql, new_parent, new_name, parent, name)
        self._touch(inode, target)
        self._touch(parent, new_parent, sql=CONTENT_CHANGED)

    @transaction
    def readdir(self, path, handle, offset, ctx):
        sql = """SELECT name, inode, mode FROM names JOIN inodes USING (inode)
                 WHERE parent = ? AND LENGTH(name) > 0"""
        rows = self._rows(sql, self._find(path))
        return [DirectoryEntry(row["name"], row["inode"], row["mode"]) for row in rows]

    # Attributes

    @transaction
    def getattr(self, path, handle, ctx):
        return self._attributes(handle or self._find(path))

    @transaction
    def setattr(self, path, changes, handle, ctx):
        inode = handle or self._find(path)
        before = self._attributes(inode)
        after = changes.apply(before)
        self._resize(inode, before.size, after.size)
        sql = """UPDATE inodes SET mode = ?, uid = ?, gid = ?, atime_ns = ?,
                 mtime_ns = ?, ctime_ns = ? WHERE inode = ?"""
        times = (after.atime_ns, after.mtime_ns, after.ctime_ns)
        self._rows(sql, after.mode, after.uid, after.gid, *times, inode)

    # Content

    def _resize(self, inode, size, new_size):
        if new_size > LARGEST_FILE:
            raise OSError(errno.EFBIG, "file too large")
        number, rest = divmod(new_size, BLOCK)
        if new_size < size:  # what is cut off must not come back
            sql = "DELETE FROM blocks WHERE inode = ? AND number > ?"
            self._rows(sql, inode, number)
            sql = """UPDATE blocks SET data = SUBSTR(data, 1, ?)
                     WHERE inode = ? AND number = ?"""
            self._rows(sql, rest, inode, number)
        self._rows("UPDATE inodes SET size = ? WHERE inode = ?", new_size, inode)

    def _read(self, inode, offset, size):
        size = max(0, min(size, self._attributes(inode).size - offset))
        answer = bytearray(size)
        sql = "SELECT * FROM blocks WHERE inode = ? AND number BETWEEN ? AND ?"
        first, last = offset // BLOCK, (offset + size) // BLOCK
        for row in self._rows(sql, inode, first, last):
            start = row["number"] * BLOCK - offset  # in the answer, or before it
            data = row["data"][max(0, -start) : max(0, size - start)]
            answer[max(0, start) : max(0, start) + len(data)] = data
        return answer

    def _write(self, inode, offset, data):
        size, end = self._attributes(inode).size, offset + len(data)
        if end > size:
            self._resize(inode, size, end)
        for number in range(offset // BLOCK, (end - 1) // BLOCK + 1):
            start = number * BLOCK
            block = bytearray(self._read(inode, start, BLOCK))
            part = data[max(0, start - offset) : start + BLOCK - offset]
            at = max(0, offset - start)
            block[at : at + len(part)] = part
            self._rows("REPLACE INTO blocks VALUES (?, ?, ?)", inode, number, block)
        self._touch(inode, sql=CONTENT_CHANGED)

    @transaction
    def open(self, path, flags, ctx):
        inode = self._find(path)
        self._opened[inode] += 1
        return inode

    @transaction
    def release(self, path, handle, ctx):
        self._opened[handle] -= 1
        self._delete_if_unused(handle)

    @transaction
    def read(self, path, handle, offset, size, ctx):
        return self._read(handle, offset, size)

    @transaction
    def write(self, path, handle, offset, data, ctx):
        self._write(handle, offset, data)
        return len(data)

    def fsync(self, path, handle, datasync, ctx):
        with self._lock:
            self._rows("PRAGMA wal_checkpoint(FULL)")
