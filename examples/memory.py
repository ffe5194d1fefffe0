"""A writable file system in memory: a whole tree, kept in Python objects.

    fusesg mount memory.py:MemoryFilesystem MOUNTPOINT

It keeps what a tree needs to be copied in and out unchanged.
"""

import errno
import itertools
import os
import stat
import threading
import time

import fusesg
from fusesg import Attributes, DirectoryEntry, Entry

LARGEST_FILE = 1 << 30  # bytes; more is answered EFBIG rather than with a full memory


class Node:
    """An inode. What of `data`, `names` and `target` is used depends on the type."""

    def __init__(self, attributes):
        self.attributes = attributes
        self.lookups = 0  # entries given to the kernel and not given back yet
        self.data = bytearray()  # of a file
        self.names = {}  # of a directory: name -> Node
        self.target = ""  # of a symbolic link
        self.xattrs = {}

    def touch(self, **changes):
        """Changes attributes, and the change time with them."""
        self.attributes = self.attributes.replace(ctime_ns=time.time_ns(), **changes)

    def touch_content(self, **changes):
        """Likewise, where content was modified."""
        self.touch(mtime_ns=time.time_ns(), **changes)


class MemoryFilesystem(fusesg.Filesystem):
    """An empty directory, owned by whoever mounts it.

    The kernel serialises changes of a directory and writes to a file, so the methods
    need no lock, except for the count of lookups.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._nodes = {}  # by inode number
        self._inodes = itertools.count(fusesg.ROOT_INODE)
        root = self._new_node(stat.S_IFDIR | 0o755, os.getuid(), os.getgid())
        root.touch(nlink=2)

    # Nodes and their names

    def _new_node(self, mode, uid, gid, rdev=0):
        inode, now = next(self._inodes), time.time_ns()
        owner = {"uid": uid, "gid": gid, "rdev": rdev}
        new = Attributes(inode=inode, mode=mode, nlink=0, mtime_ns=now, **owner)
        self._nodes[inode] = Node(new)
        return self._nodes[inode]

    def _entry(self, node):
        """Tells the kernel of a node, which must then live until it is forgotten."""
        with self._lock:
            node.lookups += 1
        return Entry(node.attributes)

    def _drop_if_unused(self, node):
        with self._lock:
            if node.lookups == 0 and node.attributes.nlink == 0:
                self._nodes.pop(node.attributes.inode, None)

    def _child(self, parent, name):
        try:
            return self._nodes[parent].names[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "no such name", name) from None

    def _add(self, parent, name, node):
        """Gives a node a (further) name."""
        directory = self._nodes[parent]
        if name in directory.names:
            raise FileExistsError(errno.EEXIST, "name exists", name)
        directory.names[name] = node
        self._count(directory, node, +1)

    def _take(self, parent, name):
        """Takes a name away from its node, and returns the node."""
        directory = self._nodes[parent]
        node = directory.names.pop(name)
        self._count(directory, node, -1)
        return node

    def _count(self, directory, node, links):
        """Link counts and times after a name of `node` has come or gone."""
        if stat.S_ISDIR(node.attributes.mode):
            # "." in it is a second link to it, ".." one to its parent
            node.touch(nlink=node.attributes.nlink + 2 * links)
            directory.touch_content(nlink=directory.attributes.nlink + links)
        else:
            node.touch(nlink=node.attributes.nlink + links)
            directory.touch_content()

    def _create(self, parent, name, mode, ctx, rdev=0):
        directory = self._nodes[parent].attributes
        gid = ctx.gid
        if directory.mode & stat.S_ISGID:  # such a directory passes its group on
            gid = directory.gid
            mode |= stat.S_ISGID if stat.S_ISDIR(mode) else 0
        node = self._new_node(mode, ctx.uid, gid, rdev)
        self._add(parent, name, node)
        return node

    # Operations on names

    def lookup(self, parent, name, ctx):
        node = self._nodes[parent].names.get(name)
        return self._entry(node) if node else None

    def forget(self, inode, count):
        node = self._nodes[inode]
        with self._lock:
            node.lookups -= count
        self._drop_if_unused(node)

    def mknod(self, parent, name, mode, rdev, ctx):
        return self._entry(self._create(parent, name, mode, ctx, rdev))

    def mkdir(self, parent, name, mode, ctx):
        return self._entry(self._create(parent, name, stat.S_IFDIR | mode, ctx))

    def symlink(self, parent, name, target, ctx):
        node = self._create(parent, name, stat.S_IFLNK | 0o777, ctx)
        node.target = target
        node.touch(size=len(os.fsencode(target)))
        return self._entry(node)

    def readlink(self, inode, ctx):
        return self._nodes[inode].target

    def link(self, inode, new_parent, new_name, ctx):
        node = self._nodes[inode]
        self._add(new_parent, new_name, node)
        return self._entry(node)

    def unlink(self, parent, name, ctx):
        self._child(parent, name)
        self._drop_if_unused(self._take(parent, name))

    def rmdir(self, parent, name, ctx):
        if self._child(parent, name).names:
            raise OSError(errno.ENOTEMPTY, "directory is not empty", name)
        self._drop_if_unused(self._take(parent, name))

    def rename(self, parent, name, new_parent, new_name, flags, ctx):
        node = self._child(parent, name)
        target = self._nodes[new_parent].names.get(new_name)
        if flags == fusesg.RENAME_EXCHANGE:
            other = self._child(new_parent, new_name)
            self._take(parent, name)
            self._take(new_parent, new_name)
            self._add(parent, name, other)
            self._add(new_parent, new_name, node)
            return
        if flags not in {0, fusesg.RENAME_NOREPLACE}:
            raise OSError(errno.EINVAL, f"rename flags {flags:#x}")
        if target and flags:
            raise FileExistsError(errno.EEXIST, "name exists", new_name)
        if target is node:
            return  # two names of one file: POSIX says that nothing happens
        if target and target.names:
            raise OSError(errno.ENOTEMPTY, "directory is not empty", new_name)
        if target:
            self._drop_if_unused(self._take(new_parent, new_name))
        self._take(parent, name)
        self._add(new_parent, new_name, node)

    # Attributes

    def getattr(self, inode, handle, ctx):
        return self._nodes[inode].attributes

    def setattr(self, inode, changes, handle, ctx):
        node = self._nodes[inode]
        if changes.size is not None and changes.size != len(node.data):
            self._resize(node, changes.size)
        node.attributes = changes.apply(node.attributes)
        return node.attributes

    # Files

    def _resize(self, node, size):
        if size > LARGEST_FILE:
            raise OSError(errno.EFBIG, "file too large")
        if size < len(node.data):
            del node.data[size:]
        else:
            node.data.extend(bytes(size - len(node.data)))
        node.touch_content(size=size)

    def open(self, inode, flags, ctx):
        return self._nodes[inode]  # the handle: comes back as `handle` below

    def create(self, parent, name, mode, flags, ctx):
        node = self._create(parent, name, mode, ctx)
        return self._entry(node), node

    def read(self, inode, handle, offset, size, ctx):
        return handle.data[offset : offset + size]

    def write(self, inode, handle, offset, data, ctx):
        end = offset + len(data)
        if end > len(handle.data):
            self._resize(handle, end)
        handle.data[offset:end] = data
        handle.touch_content()
        return len(data)

    def readdir(self, inode, handle, offset, ctx):
        names = self._nodes[inode].names.copy()
        return [
            DirectoryEntry.of(name, Entry(names[name].attributes)) for name in names
        ]

    # Extended attributes

    def getxattr(self, inode, name, ctx):
        try:
            return self._nodes[inode].xattrs[name]
        except KeyError:
            raise OSError(errno.ENODATA, "no such attribute", name) from None

    def setxattr(self, inode, name, value, flags, ctx):
        xattrs = self._nodes[inode].xattrs
        if flags & os.XATTR_CREATE and name in xattrs:
            raise FileExistsError(errno.EEXIST, "attribute exists", name)
        if flags & os.XATTR_REPLACE and name not in xattrs:
            raise OSError(errno.ENODATA, "no such attribute", name)
        xattrs[name] = bytes(value)
        self._nodes[inode].touch()

    def listxattr(self, inode, ctx):
        return list(self._nodes[inode].xattrs)

    def removexattr(self, inode, name, ctx):
        self.getxattr(inode, name, ctx)
        del self._nodes[inode].xattrs[name]
        self._nodes[inode].touch()
