import os

from fusesg import Filesystem

class TarFilesystem(Filesystem):
    """The directories, files and links in an uncompressed archive.

    Args:
        path: The archive.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None: ...
