"""Methods that do not fit."""

from __future__ import annotations

import fusesg
from fusesg import Attributes, Context, Entry


class WrongResults(fusesg.Filesystem):
    """Methods that return what is no answer."""

    def lookup(self, parent: int, name: str, ctx: Context) -> Attributes:  # wrong: override, reportIncompatibleMethodOverride
        return Attributes(mode=0o40755)

    def getattr(self, inode: int, handle: object, ctx: Context) -> Attributes | None:  # wrong: override, reportIncompatibleMethodOverride
        return None

    def readlink(self, inode: int, ctx: Context) -> bytes:  # wrong: override, reportIncompatibleMethodOverride
        return b"target"

    def read(  # wrong: override, reportIncompatibleMethodOverride
        self, inode: int, handle: object, offset: int, size: int, ctx: Context
    ) -> str:
        return "text"

    def write(  # wrong: override, reportIncompatibleMethodOverride
        self, inode: int, handle: object, offset: int, data: memoryview, ctx: Context
    ) -> None: ...

    def readdir(  # wrong: override, reportIncompatibleMethodOverride
        self, inode: int, handle: object, offset: int, ctx: Context
    ) -> list[tuple[str, int]]:
        return [("name", 2)]

    def getxattr(self, inode: int, name: str, ctx: Context) -> str:  # wrong: override, reportIncompatibleMethodOverride
        return name


class WrongArguments(fusesg.Filesystem):
    """Methods that cannot be called as they will be."""

    def lookup(self, parent: int, name: bytes, ctx: Context) -> Entry | None:  # wrong: override, reportIncompatibleMethodOverride
        return None

    def getattr(self, inode: int, ctx: Context) -> Attributes:  # wrong: override, reportIncompatibleMethodOverride
        return Attributes(inode=inode, mode=0o40755)

    def read(self, inode: int, offset: int, size: int) -> bytes:  # wrong: override, reportIncompatibleMethodOverride
        return b""

    def open(self, inode: str, flags: int, ctx: Context) -> None:  # wrong: override, reportIncompatibleMethodOverride
        return None


class WrongProperties(fusesg.Filesystem):
    """Properties of a class that are no booleans."""

    readdirplus = "yes"  # wrong: assignment, reportAssignmentType


def uses_context(ctx: Context) -> None:
    """A context has what it has."""
    pid: str = ctx.pid  # wrong: assignment, reportAssignmentType
    ctx.pid = 5 if pid else 6  # wrong: misc, reportAttributeAccessIssue
    ctx.uid = 0  # wrong: misc, reportAttributeAccessIssue
