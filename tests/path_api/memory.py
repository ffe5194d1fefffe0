"""A writable file system of paths in memory, as a user would write it."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import time

import fusesg


class Node:
    """A file of any type, which says what of `data`, `names`, `target` is used."""

    def __init__(self, inode, mode, uid, gid, rdev=0):
        now = time.time_ns()
        self.attributes = fusesg.Attributes(
            inode=inode, mode=mode, nlink=0, uid=uid, gid=gid, rdev=rdev, mtime_ns=now
        )
        self.data = bytearray()
        self.names = {}
        self.target = ""
        self.xattrs = {}

    @property
    def is_directory(self):
        return stat.S_ISDIR(self.attributes.mode)

    def touch(self, **changes):
        self.attributes = self.attributes.replace(ctime_ns=time.time_ns(), **changes)

    def resize(self, size):
        if size > 1 << 30:
            raise OSError(errno.EFBIG, "file too large")
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))
        self.touch(mtime_ns=time.time_ns(), size=size)


class PathMemory(fusesg.PathFilesystem):
    """An empty directory. Open files are nodes, so that they outlive their names.

    With `numbered`, inode numbers are the class's own, and hard links are one file.
    """

    def __init__(self, *, numbered=True):
        self._inodes = itertools.count(2) if numbered else itertools.repeat(0)
        self.root = Node(1, stat.S_IFDIR | 0o755, os.getuid(), os.getgid())
        self.root.touch(nlink=2)

    # Paths

    def _find(self, path):
        node = self.root
        for name in path.split("/")[1:] if path != "/" else ():
            if not node.is_directory:
                raise NotADirectoryError(errno.ENOTDIR, path)
            if name not in node.names:
                raise FileNotFoundError(errno.ENOENT, path)
            node = node.names[name]
        return node

    def _split(self, path):
        parent, _, name = path.rpartition("/")
        return self._find(parent or "/"), name

    def _add(self, path, node):
        parent, name = self._split(path)
        if name in parent.names:
            raise FileExistsError(errno.EEXIST, path)
        parent.names[name] = node
        self._count(parent, node, +1)

    def _take(self, path):
        parent, name = self._split(path)
        node = parent.names.pop(name)
        self._count(parent, node, -1)
        return node

    def _count(self, parent, node, links):
        own, above = (2 * links, links) if node.is_directory else (links, 0)
        node.touch(nlink=node.attributes.nlink + own)
        above += parent.attributes.nlink
        parent.touch(mtime_ns=time.time_ns(), nlink=above)

    def _create(self, path, mode, ctx, rdev=0):
        parent, _ = self._split(path)
        gid = ctx.gid
        if parent.attributes.mode & stat.S_ISGID:
            gid = parent.attributes.gid
            mode |= stat.S_ISGID if stat.S_ISDIR(mode) else 0
        node = Node(next(self._inodes), mode, ctx.uid, gid, rdev)
        self._add(path, node)
        return node

    # Attributes

    def getattr(self, path, handle, ctx):
        return (handle or self._find(path)).attributes

    def setattr(self, path, changes, handle, ctx):
        node = handle or self._find(path)
        if changes.size is not None and changes.size != len(node.data):
            node.resize(changes.size)
        node.attributes = changes.apply(node.attributes)

    # Names

    def mknod(self, path, mode, rdev, ctx):
        self._create(path, mode, ctx, rdev)

    def mkdir(self, path, mode, ctx):
        return self._create(path, stat.S_IFDIR | mode, ctx).attributes

    def symlink(self, path, target, ctx):
        node = self._create(path, stat.S_IFLNK | 0o777, ctx)
        node.target = target
        node.touch(size=len(os.fsencode(target)))

    def readlink(self, path, ctx):
        return self._find(path).target

    def link(self, path, new_path, ctx):
        node = self._find(path)
        self._add(new_path, node)
        return fusesg.Entry(node.attributes)

    def unlink(self, path, ctx):
        self._take(path)

    def rmdir(self, path, ctx):
        if self._find(path).names:
            raise OSError(errno.ENOTEMPTY, path)
        self._take(path)

    def rename(self, path, new_path, flags, ctx):
        node = self._find(path)
        parent, name = self._split(new_path)
        target = parent.names.get(name)
        if flags == fusesg.RENAME_EXCHANGE:
            other = self._find(new_path)
            (one, first), (two, second) = self._split(path), (parent, name)
            one.names[first], two.names[second] = other, node
            for directory, gone, come in ((one, node, other), (two, other, node)):
                links = come.is_directory - gone.is_directory
                links += directory.attributes.nlink
                directory.touch(nlink=links, mtime_ns=time.time_ns())
                come.touch()
            return
        if flags not in {0, fusesg.RENAME_NOREPLACE}:
            raise OSError(errno.EINVAL, f"rename flags {flags:#x}")
        if target and flags:
            raise FileExistsError(errno.EEXIST, new_path)
        if target and target.names:
            raise OSError(errno.ENOTEMPTY, new_path)
        if target:
            self._take(new_path)
        self._take(path)
        parent.names[name] = node
        self._count(parent, node, +1)

    # Files

    def open(self, path, flags, ctx):
        return self._find(path)

    def create(self, path, mode, flags, ctx):
        return self._create(path, mode, ctx)

    def read(self, path, handle, offset, size, ctx):
        return bytes(handle.data[offset : offset + size])

    def write(self, path, handle, offset, data, ctx):
        end = offset + len(data)
        if end > len(handle.data):
            handle.resize(end)
        handle.data[offset:end] = data
        handle.touch(mtime_ns=time.time_ns())
        return len(data)

    def readdir(self, path, handle, offset, ctx):
        return [
            fusesg.DirectoryEntry.of(name, node.attributes)
            for name, node in self._find(path).names.items()
        ]

    # Extended attributes

    def getxattr(self, path, name, ctx):
        try:
            return self._find(path).xattrs[name]
        except KeyError:
            raise OSError(errno.ENODATA, name) from None

    def setxattr(self, path, name, value, flags, ctx):
        node = self._find(path)
        if flags & os.XATTR_CREATE and name in node.xattrs:
            raise FileExistsError(errno.EEXIST, name)
        if flags & os.XATTR_REPLACE and name not in node.xattrs:
            raise OSError(errno.ENODATA, name)
        node.xattrs[name] = bytes(value)
        node.touch()

    def listxattr(self, path, ctx):
        return list(self._find(path).xattrs)

    def removexattr(self, path, name, ctx):
        self.getxattr(path, name, ctx)
        node = self._find(path)
        del node.xattrs[name]
        node.touch()
