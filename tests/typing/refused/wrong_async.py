"""Coroutines that do not fit."""

import fusesg
from fusesg import Attributes, Context


class WrongResults(fusesg.Filesystem):
    """Coroutines whose results are no answers."""

    async def lookup(self, parent: int, name: str, ctx: Context) -> Attributes:  # wrong: override, reportIncompatibleMethodOverride
        return Attributes(mode=0o40755)

    async def read(  # wrong: override, reportIncompatibleMethodOverride
        self, inode: int, handle: object, offset: int, size: int, ctx: Context
    ) -> str:
        return "text"

    async def write(self, inode: int, offset: int, data: bytes) -> int:  # wrong: override, reportIncompatibleMethodOverride
        return len(data)
