from collections.abc import Iterable

from fusesg import Attributes, Context, DirectoryEntry, Entry, PathFilesystem

class WebFilesystem(PathFilesystem):
    """The files that a web server lists.

    Args:
        url: Of the directory that is the root.
    """

    def __init__(self, url: str) -> None: ...
    async def init(self) -> None: ...
    async def destroy(self) -> None: ...
    async def getattr(
        self, path: str, handle: object, ctx: Context
    ) -> Attributes | Entry | None: ...
    async def readdir(
        self, path: str, handle: object, offset: int, ctx: Context
    ) -> Iterable[DirectoryEntry]: ...
    async def open(self, path: str, flags: int, ctx: Context) -> object: ...
