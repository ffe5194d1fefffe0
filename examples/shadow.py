"""A directory with one method overridden: every text is read in capitals.

Run `python shadow.py DIRECTORY MOUNTPOINT`. Only `read` runs in Python, and only the
bytes that are read pass through it. All other operations stay native.
"""

import sys

import fusesg


class Shadow(fusesg.Passthrough):
    """The directory, with the lower-case letters of ASCII turned to upper case."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> bytes:
        data = super().read(inode, handle, offset, size, ctx)
        return bytes(data).upper()


if __name__ == "__main__":
    fusesg.serve(Shadow(sys.argv[1]), sys.argv[2])
