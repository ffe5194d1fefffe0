"""The smallest useful file system: one file. Run `python hello.py MOUNTPOINT`."""

import stat
import sys

import fusesg

TEXT = b"Hello from Python\n"
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755, nlink=2)
FILE = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o444, size=len(TEXT))


class Hello(fusesg.Filesystem):
    def lookup(self, parent, name, ctx):
        return fusesg.Entry(FILE) if name == "hello" else None

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == fusesg.ROOT_INODE else FILE

    def readdir(self, inode, handle, offset, ctx):
        return [fusesg.DirectoryEntry("hello", 2, stat.S_IFREG)]

    def read(self, inode, handle, offset, size, ctx):
        return TEXT[offset : offset + size]


if __name__ == "__main__":
    fusesg.serve(Hello(), sys.argv[1])
