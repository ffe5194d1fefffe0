import os

from fusesg import PathFilesystem

class SqliteFilesystem(PathFilesystem):
    """Files in an SQLite database, made if it is not there.

    Args:
        path: The database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None: ...
