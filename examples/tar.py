"""A tar archive as a file system: an index in Python, the bytes extents of the archive.

fusesg mount tar.py:TarFilesystem MOUNTPOINT --set path=ARCHIVE.tar
"""

import os
import stat
import tarfile

import fusesg
from fusesg import Attributes, DirectoryEntry, Entry, SegmentList, Zeros

TYPES = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK}


class Node:
    """An inode: an empty directory, until a member of the archive says otherwise."""

    def __init__(self, inode):
        self.names, self.target, self.data = {}, "", SegmentList()
        self.attributes = Attributes(inode=inode, mode=stat.S_IFDIR | 0o755, nlink=2)


class TarFilesystem(fusesg.Filesystem):
    """The directories, files and links in the uncompressed archive at `path`."""

    def __init__(self, path):
        self.archive = fusesg.Backing(path)
        self.nodes = [Node(0), Node(1)]  # by inode: 0 is none, 1 is the root
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.islnk():
                    self._link(member)
                elif member.isreg() or member.type in TYPES:
                    self._fill(self._find(member.name), member)

    def _find(self, path):
        node = self.nodes[1]
        for name in path.split("/"):
            if name not in {"", "."}:
                if name not in node.names:
                    self.nodes.append(Node(len(self.nodes)))
                node = node.names.setdefault(name, self.nodes[-1])
        return node

    def _link(self, member):
        directory, _, name = member.name.rpartition("/")
        node = self._find(directory).names[name] = self._find(member.linkname)
        node.attributes = node.attributes.replace(nlink=node.attributes.nlink + 1)

    def _fill(self, node, member):
        node.target, source, data = member.linkname, member.offset_data, SegmentList()
        for offset, length in member.sparse or [(0, member.size)]:
            data += Zeros(offset - len(data))  # a hole of a sparse file
            data += self.archive.extent(source, length)
            source += length
        node.data = data
        mode = TYPES.get(member.type, stat.S_IFREG) | stat.S_IMODE(member.mode)
        size, links = len(os.fsencode(node.target)), 2 if member.isdir() else 1
        changes = {"mode": mode, "size": size or member.size, "nlink": links}
        changes |= {"gid": member.gid, "mtime_ns": int(member.mtime * 10**9)}
        node.attributes = node.attributes.replace(uid=member.uid, **changes)

    def lookup(self, parent, name, ctx):
        node = self.nodes[parent].names.get(name)
        return Entry(node.attributes) if node else None

    def getattr(self, inode, handle, ctx):
        return self.nodes[inode].attributes

    def readlink(self, inode, ctx):
        return self.nodes[inode].target

    def readdir(self, inode, handle, offset, ctx):
        for name, node in self.nodes[inode].names.items():
            yield DirectoryEntry.of(name, Entry(node.attributes))

    def read(self, inode, handle, offset, size, ctx):
        return self.nodes[inode].data.slice(offset, size)
