from collections.abc import Iterable

from fusesg import Attributes, Context, DirectoryEntry, Entry, PathFilesystem

class WebFilesystem(PathFilesystem):
    """The files that a web server lists.

    Args:
        url: Of the directory that is the root.
    """

    def __init__(self, url: str) -> None: ...
    async def init(self) -> None:
        """Opens a session of HTTP."""
    async def destroy(self) -> None:
        """Closes it."""
    async def getattr(
        self, path: str, handle: object, ctx: Context
    ) -> Attributes | Entry | None:
        """Asks the server what a path is."""
    async def readdir(
        self, path: str, handle: object, offset: int, ctx: Context
    ) -> Iterable[DirectoryEntry]:
        """The links of a page that lead to something below it."""
    async def open(self, path: str, flags: int, ctx: Context) -> object:
        """The handle is what the server tells of the file."""
