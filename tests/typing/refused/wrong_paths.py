"""Methods of file systems by paths that do not fit."""

import fusesg
from fusesg import Attributes, Context, Entry


class Confused(fusesg.PathFilesystem):
    """Takes inodes, or answers as if it did."""

    def getattr(self, inode: int, handle: object, ctx: Context) -> Attributes:  # wrong: override, reportIncompatibleMethodOverride
        return Attributes(inode=inode, mode=0o40755)

    def mkdir(self, path: str, name: str, mode: int, ctx: Context) -> Entry:  # wrong: override, reportIncompatibleMethodOverride
        return Entry(Attributes(mode=mode))

    def readdir(self, path: str, handle: object, offset: int, ctx: Context) -> list[bytes]:  # wrong: override, reportIncompatibleMethodOverride
        return [b"name"]

    def readlink(self, path: str, ctx: Context) -> None:  # wrong: override, reportIncompatibleMethodOverride
        return None

    def rename(self, path: str, new_path: str, ctx: Context) -> None:  # wrong: override, reportIncompatibleMethodOverride
        return None
