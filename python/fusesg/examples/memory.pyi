from fusesg import Filesystem

class MemoryFilesystem(Filesystem):
    """A writable file system in memory."""

    def __init__(self) -> None: ...
